"""Tree ensembles on the NPU: bit for bit, in plain 8-bit integers.

forest        the trees as leaves and what must hold on the way to them
encoding      what the host sends of each row: limbs, ranks or integers
rank_table    how the host finds ranks quickly
blocks        leaves in the groups of a grouped Conv
digits        leaf values as digits that a byte can count
network       the ONNX model
plan          one way to do it all
host_cost     what the host's part takes
candidates    the ways that are tried, by Qualcomm's estimate
large         a share of the trees is tried in the place of all where these are many
verification  proof on the simulator
lower         all of it
break_even    from how many rows at once that is faster than the CPU
"""

from snapq.classical.trees.break_even import OnDevice, rows_to_win
from snapq.classical.trees.lower import lower

__all__ = ["OnDevice", "lower", "rows_to_win"]
