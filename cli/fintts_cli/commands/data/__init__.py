"""`fintts data`: one file per command."""
