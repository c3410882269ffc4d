"""Reads the files of codecs without torch."""
