"""A data folder as files: read, checked, split and packed."""
