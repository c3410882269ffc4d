"""The trainer as a child process of this machine."""
