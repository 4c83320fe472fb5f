"""A page on which a face says what a person says or types, over WebRTC. Needs aiortc (the extra `live`)."""
