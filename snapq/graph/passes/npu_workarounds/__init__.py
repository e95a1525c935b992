"""Passes that write what an NPU kernel computes wrongly in a form that it computes rightly."""
