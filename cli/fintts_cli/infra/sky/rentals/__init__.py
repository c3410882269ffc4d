"""What is rented: clusters and managed jobs, their records and their census."""
