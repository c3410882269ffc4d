"""This machine as an infra."""
