"""Takes the means of distributions over channels map by map.

1. `Conv(Softmax(x), bins)` and products with the bins, where x is made of groups of channels of
   maps by Reshapes, Transposes and Concats, become what `snapq.graph.distribution_means` says.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.distribution_means import mean_behind, written_by_maps
from snapq.graph.edit import Editor
from snapq.graph.passes.base import Result

OPERATORS = ("Softmax",)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes the mean of one Softmax."""
    found = mean_behind(node)
    if found is None:
        return False
    edit.begin(found.product)
    edit.replace(found.product.outputs[0], written_by_maps(found, edit, limited=True))
    edit.remove_if_dead(found.product)
    return True
