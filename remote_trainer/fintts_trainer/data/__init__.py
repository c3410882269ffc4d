"""A data folder: which files there are, what each one holds, and what is wrong with them."""
