"""Ids of 64 bits, which the NPU looks up in no time where they are fed with 32."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Names, prepend
from snapq.operators import Role, spec_of

__all__ = ["feed_in_32_bits", "only_looked_up"]

NARROW = "int32"
_LARGEST = np.iinfo(np.int32).max


def only_looked_up(model: ir.Model) -> frozenset[str]:
    """Names of the int64 inputs that the model takes for indices alone, so that 32 bits hold all.

    The NPU looks up ids that are fed as int32 in a time that does not depend on the table; int64
    ones are converted first, and converted ids are looked up through the whole table: 128 of
    30,522 rows take 536 us for 20 at 16 bits (Qualcomm's estimate for QCS9075).
    """
    return frozenset(
        str(value.name)
        for value in model.graph.inputs
        if value.dtype is ir.DataType.INT64
        and value.uses()
        and value not in model.graph.outputs
        and all(_is_lookup(node, index) for node, index in value.uses())
    )


def feed_in_32_bits(graph: ir.Graph, value: ir.Value) -> None:
    """Gives an int64 input 32 bits; what looks nothing up gets 64 as before."""
    value.type = ir.TensorType(ir.DataType.INT32)
    for node, _ in tuple(value.uses()):
        if node.op_type == "Cast" and node.attributes.get_int("to") == ir.DataType.INT32:
            node.outputs[0].replace_all_uses_with(value)
            graph.remove(node, safe=True)
    others = [(node, index) for node, index in value.uses() if not _is_lookup(node, index)]
    if not others:
        return
    names = Names(graph)
    cast = ir.node(
        "Cast",
        [value],
        {"to": int(ir.DataType.INT64)},
        name=names.fresh_node(f"{value.name}_in_64_bits"),
    )
    wide = cast.outputs[0]
    wide.name, wide.shape = names.fresh_value(f"{value.name}_in_64_bits"), value.shape
    wide.type = ir.TensorType(ir.DataType.INT64)
    for node, index in others:
        node.replace_input_with(index, wide)
    prepend(graph, [cast])


def _is_lookup(node: ir.Node, index: int) -> bool:
    """Whether a node takes this input for indices of no more than 32 bits, of either type."""
    data = node.inputs[0]
    if spec_of(node).role(index) is not Role.INDICES or data is None or data.shape is None:
        return False
    return all(isinstance(size, int) and size <= _LARGEST for size in data.shape)
