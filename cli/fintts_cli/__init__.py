"""The laptop side: the only place that knows the terminal and the clouds."""
