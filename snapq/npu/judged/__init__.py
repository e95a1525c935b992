"""Judged changes: forms of a network that are kept where the estimate says that they are faster."""
