"""The trainer, which stands alone on the instance: no terminal, no cloud."""
