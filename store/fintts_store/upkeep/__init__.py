"""What a store is checked for, and what is removed from it."""
