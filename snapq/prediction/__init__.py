"""Predicted latencies of boards: estimates held against Qualcomm's public measurements."""
