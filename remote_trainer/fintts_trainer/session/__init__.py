"""This process and the store: its task, its reports, and when it must end."""
