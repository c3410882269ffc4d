"""The estimate of a run: durations, bills, extra costs."""
