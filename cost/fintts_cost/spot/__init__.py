"""Spot instances: preemptions and price history."""
