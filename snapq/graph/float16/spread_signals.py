"""Lays signals out in eight rows for the layers that look at one place at a time.

1. `f(Conv(x, w, b))` over x of `[N, C, L]`, one tap, L a multiple of 8 and 64 or more, f one or
   more activations with constants alone, = the same over `[N, C, 8, L / 8]`, between Reshapes.

The NPU computes fp16 in tiles of eight rows, of which a signal fills one. Estimated in us on
QCS9075 and SA8797P (QAIRT 2.51), three such layers with Relu: 128 channels of 1,024 places 375 and
219 against 227 and 106, 512 of 256 377 and 267 against 185 and 110, 64 of 200 59 and 37 against 35
and 17. At 16 bits rows are the slower form.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute, producer, scalar
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape
from snapq.operators import Family, in_families

OPERATORS = ("Conv",)

_ROWS, _SHORTEST = 8, 64
_ACTIVATIONS = in_families(Family.ACTIVATION)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Conv and the activations behind it."""
    source, weight = node.inputs[0], constant(node.inputs[1])
    shape, result = static_shape(source), static_shape(node.outputs[0])
    if source is None or weight is None or weight.ndim != 3 or weight.shape[2] != 1:
        return False
    if shape is None or result is None or shape[2] != result[2]:
        return False
    length = shape[2]
    if length % _ROWS or length < _SHORTEST or node.attributes.get_int("group", 1) != 1:
        return False
    if any(ints_attribute(node, "pads") or ()):
        return False
    behind = _activations(node)
    if not behind:
        return False
    value = _spread(source, shape, edit)
    bias = input_at(node, 2)
    value = edit.op("Conv", value, weight[..., None], *([] if bias is None else [bias]))
    for activation in behind:
        value = edit.op(activation.op_type, value, *activation.inputs[1:])
        maker = value.producer()
        assert maker is not None
        maker.attributes.update(activation.attributes)
    value.type = behind[-1].outputs[0].type
    value.shape = ir.Shape((*result[:2], _ROWS, length // _ROWS))
    edit.replace(behind[-1].outputs[0], edit.op("Reshape", value, integers(*result)))
    edit.remove_if_dead(behind[-1])
    return True


def _activations(node: ir.Node) -> list[ir.Node]:
    """What alone follows, one after the other, and computes each number by itself."""
    found: list[ir.Node] = []
    while not node.outputs[0].is_graph_output():
        uses = node.outputs[0].uses()
        if len(uses) != 1:
            break
        ((node, index),) = uses
        others = node.inputs[1:]
        if node.op_type not in _ACTIVATIONS or node.domain != "" or index != 0:
            break
        if any(value is not None and scalar(value) is None for value in others):
            break
        found.append(node)
    return found


def _spread(source: ir.Value, shape: Shape, edit: Editor) -> ir.Value:
    """The signal in rows; where it was laid out so for another layer, as it was there."""
    wanted = (*shape[:2], _ROWS, shape[2] // _ROWS)
    before = producer(source, "Reshape")
    if before is not None and static_shape(before.inputs[0]) == wanted:
        given = before.inputs[0]
        assert given is not None
        return given
    return edit.op("Reshape", source, integers(*wanted))
