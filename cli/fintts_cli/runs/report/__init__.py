"""A run's report: what it was expected to take and cost, and what it did."""
