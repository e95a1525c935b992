"""Passes that fold constants into the weights and biases of layers."""
