"""The state of runs: the list, the screen, and what they forecast."""
