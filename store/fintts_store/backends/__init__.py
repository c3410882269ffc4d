"""The backends of a store: a directory, or a bucket in S3."""
