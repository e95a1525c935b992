"""Pairs of graphs that others exported: taken apart into the decoder that they compute."""
