"""`fintts store`: a file for each command."""
