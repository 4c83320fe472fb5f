"""Talking-head videos to a set of short face clips with their speech, for training."""
