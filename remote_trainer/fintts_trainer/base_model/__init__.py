"""What a base model's folder, and an adapter for it, must hold: known without torch."""
