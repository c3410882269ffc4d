"""The codec of Fish Speech 1.5, "firefly"."""
