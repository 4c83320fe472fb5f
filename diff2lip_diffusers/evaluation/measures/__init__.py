"""Measures of lip-synced videos: one file a group, and the table that says what each number means."""
