"""The demo: a drawn face is lip-synced to a new sentence with the small model in the package."""
