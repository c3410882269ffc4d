"""A measured run that the arithmetic is checked against."""
