"""A batch on a Ray cluster: Ray hands the pairs out, and replaces workers and nodes that die."""
