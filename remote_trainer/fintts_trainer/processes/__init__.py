"""The processes of a run on this machine: starts them, and ends one that hangs."""
