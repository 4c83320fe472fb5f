"""Marks in outputs that machines can read: content credentials (C2PA) and a watermark; and what a file has of them."""
