"""A base model as files: which there are, what shape they have, whether they fit."""
