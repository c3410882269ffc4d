"""`fintts cloud`: a file for each command."""
