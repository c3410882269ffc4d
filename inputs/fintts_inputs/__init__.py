"""What a run is made from: configuration, data, base model, adapter. It needs no torch."""
