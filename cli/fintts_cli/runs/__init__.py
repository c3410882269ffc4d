"""Runs as this laptop sees them: their cost, and which instance is at work."""
