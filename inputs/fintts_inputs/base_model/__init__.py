"""The files of a base model: which ones there are, their shapes, and whether they fit together."""
