"""Base model families: the code that knows the shape of the frozen weights."""
