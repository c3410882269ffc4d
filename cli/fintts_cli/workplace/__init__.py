"""What this machine has: its state folder, journal, infras, stores and prices."""
