"""`fintts`: one file per command, which parses, calls and prints. `table.py` lists all of them."""
