"""GPUs: their names, memory and speed."""
