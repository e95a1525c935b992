"""Two runs or bundles side by side: accuracy, SQNR, size, estimates, placement, latency."""
