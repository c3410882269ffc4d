"""Keys for S3: this machine's own, and the one that an instance gets."""
