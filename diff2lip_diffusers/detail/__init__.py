"""A sharp mouth from the video's own frames.

The model paints S x S pixels; the face in the video is larger. Other frames show the same mouth in full resolution, in
many shapes. Those that look like the painted mouth are warped onto it, and their fine detail is added.

Letters in shapes: S height and width of the model's crops; R those of the sharpened crop, a multiple of S / 4; r its
rows from the first one that detail is added to; s the same rows in the model's size.
"""
