"""Addresses of S3 stores: parsing, endpoints, and what AWS's settings add."""
