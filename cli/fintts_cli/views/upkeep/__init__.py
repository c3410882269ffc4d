"""What `prune` and `reap` remove."""
