"""Layers of few results, for blocks of pixels at once.

1. A Conv with stride 1 to few channels becomes `DepthToSpace(Conv(x))` with stride 2, where the
   pixels of a block of 2 x 2 are the results of one place: four times as many channels, of kernels
   that are a place larger, with zeros where a pixel's own kernel does not reach.
2. Results stay in the encoding of the layer's; the codes of the weights only move.

The NPU gives 32 results or more at once, for one it takes as long: the last layer of networks from
picture to picture, masks, and heads of one class. Estimated in us on QCS9075 and SA8797P (QAIRT
2.51): DnCNN, of which the last layer makes one map of 256 x 256 of 64, at w8a8 1,839 and 1,025
against 1,735 and 959.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, input_at, ints_attribute, is_float, is_op
from snapq.graph.shapes import static_shape
from snapq.npu.judged.codes import CODES, coded, moved, operand
from snapq.npu.judged.copies import changed_copy

__all__ = ["apply", "sites"]

_BLOCK, _RANK = 2, 4
_MOST_RESULTS = 8
_LEAST_CHANNELS = 16
_LEAST_PIXELS = 4096


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the convolutions that `apply` can change."""
    return tuple(str(node.name) for node in model.graph if _suits(node))


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these convolutions make blocks of pixels.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    if _suits(node):
        _rewrite(node, edit)


def _suits(node: ir.Node) -> bool:
    if not is_op(node, "Conv") or not is_float(node.inputs[0]):
        return False
    made, kernel = static_shape(node.outputs[0]), static_shape(node.inputs[1])
    if made is None or kernel is None or len(made) != _RANK or made[1] > _MOST_RESULTS:
        return False
    if kernel[1] < _LEAST_CHANNELS or node.attributes.get_int("group", 1) != 1:
        return False
    if made[2] * made[3] < _LEAST_PIXELS or made[2] % _BLOCK or made[3] % _BLOCK:
        return False
    plain = all(set(ints_attribute(node, name) or ()) <= {1} for name in ("strides", "dilations"))
    if not plain or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return False
    known = all(value is None or operand(value) is not None for value in node.inputs[1:])
    return known and _end(node) is not None


def _end(node: ir.Node) -> tuple[ir.Value, ir.Value | None] | None:
    """What a layer's blocks are made pixels behind, and that in its encoding, if it has one.

    With encodings that is the layer itself, or the Relu behind it, which the NPU computes with it.
    None where the layer has encodings and this one has none.
    """
    value, source = node.outputs[0], node.inputs[0]
    maker = None if source is None else source.producer()
    if maker is None or maker.op_type != CODES[1]:
        return value, None
    uses = list(value.uses())
    if len(uses) == 1 and uses[0].node.op_type == "Relu":
        value = uses[0].node.outputs[0]
        uses = list(value.uses())
    if len(uses) != 1 or uses[0].node.op_type != CODES[0] or value.is_graph_output():
        return None
    behind = [use.node for use in uses[0].node.outputs[0].uses()]
    like = next((one.outputs[0] for one in behind if one.op_type == CODES[1]), None)
    return None if like is None else (value, like)


def _rewrite(node: ir.Node, edit: Editor) -> None:
    """Writes one convolution with blocks of results, in place."""
    weight, bias, result = node.inputs[1], input_at(node, 2), node.outputs[0]
    found = None if weight is None else operand(weight)
    end = _end(node)
    assert found is not None
    assert weight is not None
    assert end is not None
    edit.begin(node)
    values, _, zero = found
    out, count, *kernel = values.shape
    larger = [size + _BLOCK - 1 for size in kernel]
    blocks = np.empty((_BLOCK, _BLOCK, out, count, *larger), values.dtype)
    blocks[:] = np.zeros(1, values.dtype) if zero is None else zero.reshape(-1, 1, 1, 1)
    for row in range(_BLOCK):
        for column in range(_BLOCK):
            blocks[row, column, :, :, row : row + kernel[0], column : column + kernel[1]] = values
    times = _BLOCK * _BLOCK
    weights = moved(weight, blocks.reshape(times * out, count, *larger), times, edit)
    operands = [node.inputs[0], weights]
    if bias is not None:
        each = operand(bias)
        assert each is not None
        operands.append(moved(bias, np.tile(each[0], times), times, edit))
    pads = ints_attribute(node, "pads") or (0,) * 4
    made = edit.op("Conv", *operands, strides=[_BLOCK] * 2, pads=[*pads], kernel_shape=larger)
    value, like = end
    if value is not result:
        made = edit.op("Relu", made)
    made = made if like is None else coded(made, like, edit)
    edit.replace(value, edit.op("DepthToSpace", made, blocksize=_BLOCK))
    for rest in (value.producer(), node):
        if rest is not None:
            edit.remove_if_dead(rest)
