"""Checkpoints: committed, rotated, restored."""
