"""What makes a quantized model better, and the proof that it does."""
