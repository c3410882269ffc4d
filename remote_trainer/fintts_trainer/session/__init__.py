"""This process and the store: what it is to do, what it tells, and when it has to end."""
