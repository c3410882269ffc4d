"""Who speaks a text: the base model, a run's checkpoints, an exported folder."""
