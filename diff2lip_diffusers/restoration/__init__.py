"""Restorers: networks of others that improve painted faces. A user brings the weights as a file.

Letters in shapes: h, w height and width of an image in pixels; n, m those of what a network takes.
"""
