"""Algorithms that make a quantized model better, a file each."""
