"""Passes that write operators in an equal form that the NPU computes faster."""
