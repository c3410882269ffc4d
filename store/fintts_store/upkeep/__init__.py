"""Checks a store, and removes what it no longer needs."""
