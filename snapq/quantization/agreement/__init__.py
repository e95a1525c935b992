"""The net under silent faults of the NPU: its results against the CPU's of the same model."""
