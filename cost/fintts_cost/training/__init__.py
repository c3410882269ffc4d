"""What a run does, step by step, when it stops, and which checkpoints it keeps."""
