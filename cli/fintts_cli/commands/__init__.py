"""One file a command: parse, call, print.

The modules import the standard library and Typer at the top; what one command alone needs is
imported inside the function that runs it. `fintts --help` loads all of these modules, and has
0.3 s for it: this is the one reason for a late import here.
"""
