"""What the files of a codec say of it, without torch."""
