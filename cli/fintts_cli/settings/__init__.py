"""What the user sets: its model, its sources, and what makes sense together."""
