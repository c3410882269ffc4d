"""What a run was billed: every launch by its hourly rates."""
