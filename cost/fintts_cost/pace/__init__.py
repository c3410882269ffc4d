"""How long a step takes: computed beforehand, measured in a run."""
