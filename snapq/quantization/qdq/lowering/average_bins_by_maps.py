"""Takes the means of distributions over channels map by map, where they have 16 bits.

What is written, and what it brings, says `snapq.graph.distribution_means`. In 8 bits the Softmax
stays: the sums would be rounded.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from snapq.graph.distribution_means import mean_behind, written_by_maps
from snapq.graph.edit import Editor
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["average_bins_by_maps"]


def average_bins_by_maps(graph: ir.Graph, scheme: Scheme, *, keep: bool = False) -> Scheme:
    """Writes out each such Softmax of 16 bits and the product behind it, in place.

    1. The exponents have the name of the Softmax, the last of the new nodes that of the product,
       and all have the precision of the Softmax.

    Args:
        graph: of a prepared model.
        scheme: what it is quantized by.
        keep: whether what is not needed any more stays in the graph, for its ranges.
    """
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        name = str(node.name)
        if node.op_type != "Softmax" or node.domain != "":
            continue
        if scheme.precision(name)[1] is not ActivationType.UINT16:
            continue
        found = mean_behind(node)
        if found is None:
            continue
        before, product = set(graph), str(found.product.name)
        edit.begin(found.product)
        edit.replace(found.product.outputs[0], written_by_maps(found, edit, limited=False))
        made = [one for one in graph if one not in before]
        if not keep:
            edit.remove_if_dead(found.product)
            next(one for one in made if one.op_type == "Exp").name = name
            made[-1].name = product
        if name in scheme.per_node:
            per_node |= dict.fromkeys((str(one.name) for one in made), scheme.per_node[name])
    return replace(scheme, per_node=per_node)
