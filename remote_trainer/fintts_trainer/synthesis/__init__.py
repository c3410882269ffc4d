"""Generates speech codes from text, frame by frame, with the models of every family."""
