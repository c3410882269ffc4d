"""A launch with SkyPilot: its task, its patience, and why places refuse it."""
