"""Recordings of speech with their text: lists, reads and checks them."""
