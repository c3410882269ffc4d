"""The instances of runs: what is known of them, who is at work, and how they are removed."""
