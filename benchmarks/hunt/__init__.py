"""A hunt for graphs that the NPU computes otherwise than the CPU: `python -m benchmarks.hunt`."""
