"""The NPU without a board: estimate, placement, simulation, compilation."""
