"""Training of the model and of the SyncNet expert. Imported on use only: inference needs none of it."""
