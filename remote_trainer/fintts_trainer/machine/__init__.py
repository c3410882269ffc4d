"""The machine that a run trains on: what it has, and what fits onto it."""
