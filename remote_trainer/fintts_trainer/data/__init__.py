"""What an utterance consists of: its text and its codes, as they lie in files."""
