"""Builds a training set from talking-head videos: short face clips with their speech."""
