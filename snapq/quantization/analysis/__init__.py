"""Which nodes and tensors are sensitive to quantization, and why."""
