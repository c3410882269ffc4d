"""The sources of prices, and the offers for a run."""
