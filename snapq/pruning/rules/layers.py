"""Operators that sum over channels: convolutions and matrix products."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.pruning.axes import Axes, Made, Summed
from snapq.pruning.rules.base import Cut, Rule, broadcast, title


def is_weight(value: ir.Value | None) -> bool:
    """Whether a value is a constant, or a constant behind a DequantizeLinear."""
    if value is None:
        return False
    maker = value.producer()
    if maker is not None and maker.op_type == "DequantizeLinear":
        value = maker.inputs[0]
    return value is not None and value.const_value is not None and not value.is_graph_input()


def _conv(node: ir.Node, axes: Axes) -> None:
    """Conv, weight `[C_out, C_in / group, …]`; ConvTranspose, weight `[C_in, C_out / group, …]`.

    1. Output channels belong to the weight's axis 0 (for ConvTranspose 1) and to the bias.
    2. Without groups the node sums over input channels, which belong to the weight's other axis.
    3. With groups whole groups are cut: the inputs and outputs of a group belong together. A
       depthwise convolution is the case of one input channel a group.
    """
    data, weight, output = node.inputs[0], node.inputs[1], node.outputs[0]
    group = node.attributes.get_int("group", 1)
    first, second = axes.of(data, 1), axes.of(output, 1)
    summed = 0 if node.op_type == "ConvTranspose" else 1
    axes.tie((first, second)[summed], axes.of(weight, 0))
    if group == 1:
        axes.tie((second, first)[summed], axes.of(weight, 1))
        axes.summed.append(Summed(node, 0, 1, 1, summed))
        if is_weight(weight):
            axes.made.append(Made(node, 1))
    else:
        inside = first.reshape(group, -1)
        axes.tie(inside[:, :1], inside)
        axes.tie(inside[:, :1], second.reshape(group, -1))
        axes.freeze(axes.of(weight, 1), f"{title(node)} has it inside of a group")
    if axes.knows(bias := input_at(node, 2)):
        axes.tie(second, axes.of(bias, 0))
    # The kernel mixes the axes behind the channels, and the batch stays.
    for value in (data, output):
        for axis in (0, *range(2, axes.rank(value))):
            axes.freeze(axes.of(value, axis), f"{title(node)} runs over it")


def _resize_groups(node: ir.Node, cut: Cut) -> None:
    group = node.attributes.get_int("group", 1)
    if group > 1:
        kept = cut.masks(node.inputs[0])[1].reshape(group, -1)[:, 0]
        node.attributes["group"] = ir.AttrInt64("group", int(kept.sum()))


def _gemm(node: ir.Node, axes: Axes) -> None:
    """`A @ B + C` of matrices, either of them transposed; `C` broadcasts."""
    inner_a, row = (0, 1) if node.attributes.get_int("transA", 0) else (1, 0)
    inner_b, column = (1, 0) if node.attributes.get_int("transB", 0) else (0, 1)
    left, right, output = node.inputs[0], node.inputs[1], node.outputs[0]
    axes.tie(axes.of(left, inner_a), axes.of(right, inner_b))
    axes.tie(axes.of(left, row), axes.of(output, 0))
    axes.tie(axes.of(right, column), axes.of(output, 1))
    if axes.knows(input_at(node, 2)):
        broadcast(axes, input_at(node, 2), output)
    axes.summed.append(Summed(node, 0, inner_a, 1, inner_b))
    if is_weight(right):
        axes.made.append(Made(node, 1))


def _matmul(node: ir.Node, axes: Axes) -> None:
    """`numpy.matmul`: the last axis of A and the last but one of B are summed, others broadcast."""
    left, right, output = node.inputs[0], node.inputs[1], node.outputs[0]
    ranks = axes.rank(left), axes.rank(right)
    inner = ranks[0] - 1, max(ranks[1] - 2, 0)
    axes.tie(axes.of(left, inner[0]), axes.of(right, inner[1]))
    columns = int(ranks[1] > 1)
    rows = int(ranks[0] > 1)
    if rows:
        axes.tie(axes.of(left, -2), axes.of(output, -1 - columns))
    if columns:
        axes.tie(axes.of(right, -1), axes.of(output, -1))
    batch = axes.all(output)[: axes.rank(output) - rows - columns]
    for value, rank in ((left, ranks[0]), (right, ranks[1])):
        outer = axes.all(value)[: max(rank - 2, 0)]
        for ids, target in zip(reversed(outer), reversed(batch), strict=False):
            if len(ids) == len(target):
                axes.tie(ids, target)
    if is_weight(left) and not is_weight(right):
        axes.summed.append(Summed(node, 1, inner[1], 0, inner[0]))
        if rows:
            axes.made.append(Made(node, axes.rank(output) - 1 - columns))
    else:
        axes.summed.append(Summed(node, 0, inner[0], 1 if is_weight(right) else None, inner[1]))
        if is_weight(right) and columns:
            axes.made.append(Made(node, axes.rank(output) - 1))


def _einsum(node: ir.Node, axes: Axes) -> None:
    """Equal letters are one axis; letters that the output lacks are summed."""
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    left = terms.split(",")
    letters = [*left, result]
    if not arrow or "." in equation or any(len(set(term)) < len(term) for term in letters):
        for value in (*node.inputs, *node.outputs):
            axes.freeze_value(value, f"{title(node)} is not of a simple form")
        return
    places = {letter: axes.of(node.outputs[0], i) for i, letter in enumerate(result)}
    for index, (term, value) in enumerate(zip(left, node.inputs, strict=True)):
        for axis, letter in enumerate(term):
            ids = axes.of(value, axis)
            axes.tie(places.setdefault(letter, ids), ids)
            if letter not in result and not any(letter in earlier for earlier in left[:index]):
                axes.summed.append(Summed(node, index, axis))


RULES = {
    **dict.fromkeys(("Conv", "ConvTranspose"), Rule(_conv, _resize_groups)),
    "Gemm": Rule(_gemm),
    **dict.fromkeys(("MatMul", "FusedMatMul"), Rule(_matmul)),
    "Einsum": Rule(_einsum),
}
