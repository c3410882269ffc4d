"""Text as it is spoken: numbers in words, and texts made comparable."""
