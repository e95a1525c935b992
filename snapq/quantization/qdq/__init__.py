"""From decisions to a Q/DQ graph: which nodes, which tensors share an encoding, the nodes."""
