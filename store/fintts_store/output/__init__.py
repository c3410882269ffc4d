"""Text that is safe to show: secrets redacted, control characters visible, and its streams."""
