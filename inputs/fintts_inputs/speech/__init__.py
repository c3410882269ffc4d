"""The plan of what to speak, and the answers."""
