"""The terminal: text, questions, progress bars and the live screen."""
