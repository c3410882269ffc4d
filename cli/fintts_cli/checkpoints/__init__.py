"""Checkpoints for the user: downloads, exports and model cards."""
