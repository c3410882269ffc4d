"""Forecasts when early stopping will end a run. numpy alone; torch is not needed."""
