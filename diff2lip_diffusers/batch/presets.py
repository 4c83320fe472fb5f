"""The paper's settings for its data sets."""

# In LRW, faces are detected; the videos of VoxCeleb2 are face crops.
PRESETS: dict[str, dict[str, bool]] = {
    "voxceleb2": {"reproduce": True, "voxceleb2_crop": True},
    "lrw": {"reproduce": True},
}
