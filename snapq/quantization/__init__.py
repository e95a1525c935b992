"""From a float graph and samples to a Q/DQ graph."""
