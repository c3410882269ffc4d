"""Waits, retries and limits: how to talk to a store that may be slow, absent or hostile."""
