"""`fintts`: a file for each command, which parses, calls and prints. `table.py` names them all."""
