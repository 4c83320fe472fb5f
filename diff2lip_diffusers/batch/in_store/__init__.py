"""The state of a batch in an object store: the same protocol as in a folder, without renames and locks."""
