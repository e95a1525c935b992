"""Passes that write operators that the NPU lacks with operators that it has."""
