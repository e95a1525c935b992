"""Many runs of one deploy.yaml with other values."""
