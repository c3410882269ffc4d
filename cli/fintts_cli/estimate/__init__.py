"""What a run will take and cost."""
