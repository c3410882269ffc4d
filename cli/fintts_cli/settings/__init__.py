"""The user's settings: their model, their sources, and the checks that span several of them."""
