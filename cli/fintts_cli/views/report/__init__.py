"""The report of a run, and several runs side by side, as text."""
