"""Boards: the inventory, transports, environment, sessions, and the emulated board."""
