"""The local disk: durable writes, locks, digests and errors."""
