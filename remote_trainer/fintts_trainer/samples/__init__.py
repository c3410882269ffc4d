"""What a run speaks while it trains, so that a user can hear it."""
