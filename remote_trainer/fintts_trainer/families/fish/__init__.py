"""Fish Speech dual-AR models on the blocks of transformers."""
