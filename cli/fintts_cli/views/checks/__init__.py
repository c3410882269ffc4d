"""The outcomes of checks, by `doctor` and `store check`."""
