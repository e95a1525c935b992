"""Boards: what one is (`probe`), what it lacks (`needs`), and its private environment."""
