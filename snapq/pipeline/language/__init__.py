"""A run of a language model: a pair of graphs from float to what a device runs."""
