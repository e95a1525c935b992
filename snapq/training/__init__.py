"""Training of ONNX models with PyTorch (extra `train`), in float and with quantization in it."""
