"""Writes operators that the NPU has in float only with others that it has in integers too.

| operator | becomes | on chips |
|---|---|---|
| ScatterND at constant places | ScatterElements of all elements of its rows | all |
| ScatterND at computed places | the same | without float |
| ReduceL2 | `sqrt(sum(x * x))` | without float |
| ReduceLogSumExp | `m + ln(sum(exp(x - m)))`, m the largest | without float |
| Tan | `sin(x) / cos(x)` | without float |
| TopK | places alone, see `searched_codes`, and GatherElements | without float |

Chips without float (QCS6490) refuse them. On others ScatterND makes float of its data and codes of
its result: of 20 of 196 rows of 256 elements it takes 82 us at w8a8 and 172 at w8a16, as
ScatterElements 49 and 64 (estimated on QCS9075, operators without a cost in all). The rest is as
good in fp16 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    constant,
    input_at,
    integers,
    is_float,
    is_used,
    reduced_axes,
    remove_unused_constants,
)
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["expand_float_only"]


def expand_float_only(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Writes out each such node, in place; new nodes have its precision."""
    edit, per_node = Editor(graph), dict(scheme.per_node)
    for node in tuple(graph):
        name, write = str(node.name), _WRITERS.get(node.op_type)
        if write is None or integer_type(scheme.precision(name)[1]) is None:
            continue
        places = constant(input_at(node, 1)) if node.op_type == "ScatterND" else None
        if not is_float(node.inputs[0]) or (scheme.float16 and places is None):
            continue
        edit.begin(node)
        known = set(graph)
        result = write(node, edit)
        if result is None:
            continue
        edit.replace(node.outputs[0], result)
        graph.remove(node, safe=True)
        if name in per_node:
            made = (str(one.name) for one in graph if one not in known)
            per_node.update(dict.fromkeys(made, per_node[name]))
    remove_unused_constants(graph)
    return replace(scheme, per_node=per_node)


def _scatter(node: ir.Node, edit: Editor) -> ir.Value | None:
    """As rows, or as single elements, along one axis."""
    source, places, updates = node.inputs
    shape, at = static_shape(source), static_shape(places)
    if shape is None or at is None or node.attributes.get_string("reduction", "none") != "none":
        return None
    counted = at[-1]
    rows, size, picks = prod(shape[:counted]), prod(shape[counted:]), prod(at[:-1])
    width = (size,) if size > 1 else ()
    found = constant(places)
    if found is not None:
        coordinates = found % np.asarray(shape[:counted])
        positions = coordinates @ np.asarray([prod(shape[n + 1 : counted]) for n in range(counted)])
        spread = positions.reshape(-1, 1) if width else positions.reshape(-1)
        indices: ir.Value | np.ndarray = np.broadcast_to(spread, (picks, *width)).copy()
    elif counted == 1:
        indices = edit.op("Reshape", places, integers(picks, *(1 for _ in width)))
        if width:
            indices = edit.op("Expand", indices, integers(picks, *width))
    else:
        return None
    flat = edit.op("Reshape", source, integers(rows, *width))
    given = edit.op("Reshape", updates, integers(picks, *width))
    return edit.op(
        "Reshape", edit.op("ScatterElements", flat, indices, given, axis=0), integers(*shape)
    )


def _norm(node: ir.Node, edit: Editor) -> ir.Value | None:
    source, axes = node.inputs[0], reduced_axes(node)
    if source is None or not axes:
        return None
    kept = node.attributes.get_int("keepdims", 1)
    square = edit.op("Mul", source, source)
    return edit.op("Sqrt", edit.op("ReduceSum", square, integers(*axes), keepdims=kept))


def _log_sum_exp(node: ir.Node, edit: Editor) -> ir.Value | None:
    source, axes = node.inputs[0], reduced_axes(node)
    if source is None or not axes:
        return None
    kept = node.attributes.get_int("keepdims", 1)
    peak = edit.op("ReduceMax", source, integers(*axes), keepdims=1)
    power = edit.op("Exp", edit.op("Sub", source, peak))
    total = edit.op("Log", edit.op("ReduceSum", power, integers(*axes), keepdims=kept))
    return edit.op("Add", total, peak if kept else edit.op("Squeeze", peak, integers(*axes)))


def _best(node: ir.Node, edit: Editor) -> ir.Value | None:
    """The values at the best places, which the node itself still finds."""
    if not is_used(node.outputs[0]):
        return None
    axis = node.attributes.get_int("axis", -1)
    options = {"largest": node.attributes.get_int("largest", 1), "axis": axis}
    _, places = edit.ops("TopK", node.inputs[0], node.inputs[1], outputs=2, **options)
    if is_used(node.outputs[1]):
        edit.replace(node.outputs[1], places)
    return edit.op("GatherElements", node.inputs[0], places, axis=axis)


def _tangent(node: ir.Node, edit: Editor) -> ir.Value:
    return edit.op("Div", edit.op("Sin", node.inputs[0]), edit.op("Cos", node.inputs[0]))


_WRITERS: dict[str, Callable[[ir.Node, Editor], ir.Value | None]] = {
    "ScatterND": _scatter,
    "ReduceL2": _norm,
    "ReduceLogSumExp": _log_sum_exp,
    "Tan": _tangent,
    "TopK": _best,
}
