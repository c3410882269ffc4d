"""Encodes recordings."""
