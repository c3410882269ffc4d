"""The commands of `python -m fintts_trainer` whose libraries take long to load, a module each."""
