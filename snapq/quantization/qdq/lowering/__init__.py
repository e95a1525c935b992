"""Rewrites of the float graph, for forms that the NPU has better or quicker in integers."""
