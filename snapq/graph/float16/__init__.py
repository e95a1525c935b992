"""What the NPU computes wrongly in fp16, written otherwise, for nodes that stay in float."""
