"""Turns values into text: nothing here reads or writes."""
