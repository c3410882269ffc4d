"""Recordings become codes."""
