"""Data sets, preprocessing and metrics."""
