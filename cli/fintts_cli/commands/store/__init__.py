"""`fintts store`: one file per command."""
