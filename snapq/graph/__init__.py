"""Questions and edits on an `onnx_ir` model."""
