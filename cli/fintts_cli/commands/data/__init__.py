"""`fintts data`: a file for each command."""
