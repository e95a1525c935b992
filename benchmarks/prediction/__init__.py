"""Fits measured latencies to estimates, and writes the table that snapq predicts from."""
