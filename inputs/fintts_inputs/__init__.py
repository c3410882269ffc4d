"""The inputs of a run: configuration, data, base model and adapter. Needs no torch."""
