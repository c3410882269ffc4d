"""Probes of a store: what it allows, whether it keeps its promises, and what its clock says."""
