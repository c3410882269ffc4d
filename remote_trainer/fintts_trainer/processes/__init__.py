"""The processes of a run on this machine: who starts them, and who ends one that hangs."""
