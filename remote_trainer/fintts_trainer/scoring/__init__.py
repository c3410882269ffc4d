"""Measures what a run speaks: how well it is understood, whose voice it is, how clean it sounds."""
