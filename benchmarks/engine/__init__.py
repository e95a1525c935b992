"""Time and memory of the quantizer, beside an older build and beside ONNX Runtime."""
