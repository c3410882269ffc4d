"""Experiment trackers beside TensorBoard, each in a process of its own."""
