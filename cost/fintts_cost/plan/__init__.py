"""The plan of a launch: GPUs to choose from, budget, deadline."""
