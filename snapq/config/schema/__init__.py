"""The schema of deploy.yaml, a file for each of its parts."""
