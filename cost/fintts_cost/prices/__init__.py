"""Price lists, and the offers in them."""
