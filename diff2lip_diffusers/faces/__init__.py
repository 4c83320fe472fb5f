"""Face detection, and the track of one face through a video."""
