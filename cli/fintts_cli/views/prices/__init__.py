"""What a run would cost: GPUs, offers, and the plan of a launch."""
