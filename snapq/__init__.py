"""snapq: from a trained ONNX model to a verified package for the Snapdragon NPU."""

__version__ = "0.1.0"
