"""The parts of the training loop: a step, a check, the reasons to end, and the end."""
