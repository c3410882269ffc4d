"""Where the bytes lie: a directory, or a bucket in S3."""
