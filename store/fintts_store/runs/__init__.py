"""Runs: their records, claims and ledger."""
