"""Device profiles: what is known of each SoC."""
