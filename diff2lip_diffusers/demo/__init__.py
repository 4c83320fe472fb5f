"""A drawn face says a sentence that it never said, with the small weights that come with the package."""
