"""Passes that remove, merge, and bring operators into one canonical form."""
