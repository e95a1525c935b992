"""Decoder language models: from weights to a pair of graphs of fixed shapes for the NPU."""
