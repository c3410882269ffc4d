"""What training changes in a model: LoRA, attention, loss, recomputation, compilation."""
