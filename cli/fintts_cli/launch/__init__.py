"""The launch of a run: its preconditions, its inputs, its records, its instance."""
