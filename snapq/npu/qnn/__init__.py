"""The only place that talks to onnxruntime-qnn."""
