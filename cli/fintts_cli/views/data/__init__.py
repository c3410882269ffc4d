"""Data folders: pairs and recordings."""
