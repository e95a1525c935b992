"""Models that came quantized, and encodings that were given."""
