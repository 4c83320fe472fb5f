"""Many lip-sync jobs, by any number of processes."""
