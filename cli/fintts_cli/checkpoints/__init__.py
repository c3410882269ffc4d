"""Checkpoints as a user gets them: pulled, exported, with a card."""
