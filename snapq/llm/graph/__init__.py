"""Writes a decoder as ONNX graphs of fixed shapes."""
