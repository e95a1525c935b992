"""What each ONNX operator is, and what the NPU takes of it."""
