"""Runs as the laptop sees them: what they cost, and whose instance is at work."""
