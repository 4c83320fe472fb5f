"""Where faces are in a video, and which one to follow."""
