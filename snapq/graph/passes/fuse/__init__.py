"""Passes that find a decomposed operator and make one of its parts."""
