"""Measuring: targets, statistics, the host machine, history."""
