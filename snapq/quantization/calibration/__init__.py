"""Samples stream through the float model; observers turn what they see into ranges."""
