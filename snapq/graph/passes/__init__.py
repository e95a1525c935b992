"""Passes over a graph, one file each, in folders by purpose."""
