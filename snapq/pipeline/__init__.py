"""Runs the stages of a deploy.yaml, proves what they did, writes the run directory."""
