"""What is spoken: the text, the voices, and what comes of it."""
