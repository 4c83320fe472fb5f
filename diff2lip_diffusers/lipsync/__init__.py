"""One lip-sync job: from a face video and speech to the finished video."""
