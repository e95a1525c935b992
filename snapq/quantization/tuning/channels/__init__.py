"""Channels that layers hand to each other, and what may be done with them at equal outputs."""
