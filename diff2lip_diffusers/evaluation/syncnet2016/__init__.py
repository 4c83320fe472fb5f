"""The SyncNet of 2016, by which papers measure lip-sync: its network, input, scores and protocols."""
