"""The S3 store, on AWS or on a server that speaks its protocol."""
