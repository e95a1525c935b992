"""More bits for few nodes: within an accuracy budget, or where they are faster."""
