"""Reads decoders from the files that they are published in."""
