"""The encoded data set, and the batches of each step."""
