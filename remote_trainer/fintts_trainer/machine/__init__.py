"""The machine that a run trains on: its GPUs, its memory and its disk."""
