"""Device profiles and targets."""
