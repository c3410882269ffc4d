"""Requests to S3: limits, checked answers, and errors in sentences."""
