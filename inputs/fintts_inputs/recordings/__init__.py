"""Recordings of speech with their text: what lies in a folder, and what is odd about it."""
