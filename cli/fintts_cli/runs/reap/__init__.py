"""Finds and removes instances that have no reason to run."""
