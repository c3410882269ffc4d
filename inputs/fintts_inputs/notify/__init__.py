"""Notifications about a run: a JSON POST to URLs that the user names, each of which is a secret."""
