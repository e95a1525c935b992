"""The cut: a model that begins or ends at tensors inside it, and what is left behind.

`open_cut` makes the part that goes to the NPU and, of the rest, the tail that the CPU runs behind
it; `propose` finds the tensors at which most of the work stays on the NPU.
"""

from snapq.graph.cutting.cut import Cut, cut, open_cut, open_given
from snapq.graph.cutting.propose import Proposal, propose

__all__ = ["Cut", "Proposal", "cut", "open_cut", "open_given", "propose"]
