"""What inputs and outputs of a graph with a cache are: tokens, positions, mask, keys and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import scalar
from snapq.graph.shapes import graph_inputs, static_shape
from snapq.llm.pairs.flow import MOVES, Flow, before_moves, behind_moves

__all__ = ["Growth", "Join", "find_joins"]

_SCATTERS = ("ScatterElements", "ScatterND")
_TO_PRODUCT = MOVES | {"Expand", "Gather", "Mul", "Slice", "Split", "Div"}
_FEW = 12
"""Nodes between a cache and the product that reads it, at most."""


class Growth(StrEnum):
    """What an output of the cache holds."""

    NEW = "new rows alone"
    WHOLE = "new rows behind the old ones"
    IN_PLACE = "new rows at their positions"


@dataclass(frozen=True, eq=False)
class Join:
    """Where new rows come to the old ones of one input of the cache.

    Attributes:
        past: the input; None of a prefill that begins with an empty cache.
        present: the output.
        new: the new rows, in the shape in which they are joined.
        whole: both.
        axis: of the positions in `new`.
        growth: what the output holds.
        past_axis: of the positions in the input, and in the output.
        is_key: whether these are keys.
        product: the node that multiplies queries or shares of attention by it.
    """

    past: ir.Value | None
    present: ir.Value
    new: ir.Value
    whole: ir.Value
    axis: int
    growth: Growth
    past_axis: int
    is_key: bool
    product: ir.Node


def find_joins(flow: Flow, where: str) -> list[Join]:
    """The joins of a graph, one an input of the cache, in the order of their layers.

    Where no input is a cache, those outputs count that attention reads.

    Raises:
        ModelError: an input of the cache is of no layout that is known.
    """
    graph = flow.graph
    found = []
    for value in graph_inputs(ir.Model(graph, ir_version=10)):
        shape = static_shape(value)
        if shape is None or len(shape) not in (3, 4) or not _is_cache(value):
            continue
        found.append(_join(flow, value, where))
    found = found or list(_fresh(flow))
    if not found or len(found) % 2:
        raise ModelError(
            f"It has {len(found)} inputs that are joined with new keys or values, and needs two a "
            "layer.",
            where=where,
            hint="Export the decoder with its cache of keys and values as inputs and outputs.",
        )
    found.sort(key=lambda join: flow.sources(join.new))
    return found


def _is_cache(value: ir.Value) -> bool:
    """Whether a float input is joined with something, as no mask is."""
    if value.dtype not in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.UINT8):
        return False
    return any(True for _ in _joining(value))


def _joining(value: ir.Value) -> Iterator[tuple[ir.Node, ir.Value]]:
    """The nodes that join a value in front with another, and in which form they read it."""
    for form in behind_moves(value):
        for node, place in form.uses():
            joins = node.op_type == "Concat" and len(node.inputs) == 2
            if place == 0 and (joins or node.op_type in _SCATTERS):
                yield node, form


def _join(flow: Flow, past: ir.Value, where: str) -> Join:
    node, form = next(_joining(past))
    if past.dtype is not ir.DataType.FLOAT:
        raise ModelError(
            f"The cache '{past.name}' holds {past.dtype}, and a float pair holds FLOAT.",
            where=where,
            hint="Export the pair in float32; `snapq` makes a cache of 8 bits of it.",
        )
    new = node.inputs[-1] if node.op_type in _SCATTERS else node.inputs[1]
    whole = node.outputs[0]
    shapes = [static_shape(value) for value in (form, new, whole)]
    if new is None or None in shapes:
        raise _other(past, node, where)
    old, rows, _ = shapes
    assert old is not None
    assert rows is not None
    if node.op_type == "Concat":
        axis = node.attributes.get_int("axis", 0) % len(old)
    else:
        differing = [i for i, (a, b) in enumerate(zip(old, rows, strict=False)) if a != b]
        if len(old) != len(rows) or len(differing) != 1:
            raise _other(past, node, where)
        axis = differing[0]
    present, growth = _present(flow.graph, new, whole, node, past, where)
    attended = _product(whole)
    if attended is None:
        raise ModelError(
            f"No MatMul reads the cache '{past.name}' as attention does.",
            where=where,
            hint="Export attention as products and Softmax (`attn_implementation='eager'`).",
        )
    product, is_key = attended
    place = _place(past, form, axis, past, where, node)
    return Join(past, present, new, whole, axis, growth, place, is_key, product)


def _fresh(flow: Flow) -> Iterator[Join]:
    """What a prefill without a cache in front of it gives of keys and values."""
    sizes = [static_shape(value) for value in graph_inputs(ir.Model(flow.graph, ir_version=10))]
    rows = max((max(shape) for shape in sizes if shape and len(shape) == 2), default=0)
    for output in flow.graph.outputs:
        for new in before_moves(output):
            found = _product(new)
            axes = [_row_axis(value, rows) for value in (new, output)]
            if found is None or axes[0] is None or axes[1] is None:
                continue
            node, is_key = found
            yield Join(None, output, new, new, axes[0], Growth.NEW, axes[1], is_key, node)
            break


def _row_axis(value: ir.Value, rows: int) -> int | None:
    """The axis of so many rows; where there are several, the last but one."""
    shape = static_shape(value) or ()
    if len(shape) not in (3, 4):
        return None
    found = [axis for axis, size in enumerate(shape) if size == rows]
    return len(shape) - 2 if len(shape) - 2 in found else next(iter(found), None)


def _present(
    graph: ir.Graph, new: ir.Value, whole: ir.Value, node: ir.Node, past: ir.Value, where: str
) -> tuple[ir.Value, Growth]:
    rows = set(before_moves(new)) | set(behind_moves(new))
    joined = set(behind_moves(whole))
    for output in graph.outputs:
        if output in joined:
            in_place = node.op_type in _SCATTERS
            return output, Growth.IN_PLACE if in_place else Growth.WHOLE
    for output in graph.outputs:
        if output in rows or rows & set(before_moves(output)) or _is_cut(output, joined):
            return output, Growth.NEW
    raise ModelError(
        f"No output gives what is new of the cache '{past.name}'.",
        where=where,
        hint="Each input of the cache needs an output: the new rows, or the old with the new.",
    )


def _is_cut(output: ir.Value, joined: set[ir.Value]) -> bool:
    """Whether an output is a part of a whole cache."""
    first = list(before_moves(output))[-1].producer()
    if first is None or first.op_type != "Slice" or first.inputs[0] is None:
        return False
    return bool(joined & set(before_moves(first.inputs[0])))


def _place(
    past: ir.Value, form: ir.Value, axis: int, named: ir.Value, where: str, node: ir.Node
) -> int:
    """The axis of the positions in the input, where `form` is joined along another one."""
    before, after = static_shape(past), static_shape(form)
    assert before is not None
    assert after is not None
    if before == after and past is form:
        return axis
    same = [i for i, size in enumerate(before) if size == after[axis]]
    if len(same) != 1:
        raise _other(named, node, where)
    return same[0]


def _product(whole: ir.Value) -> tuple[ir.Node, bool] | None:
    """The product that reads a whole cache, and whether it is that of the keys."""
    waiting, seen = [(whole, 0)], {whole}
    while waiting:
        value, steps = waiting.pop(0)
        for node, place in value.uses():
            if node.op_type == "MatMul":
                other = node.inputs[1 - place]
                assert other is not None
                return node, not _from_softmax(other)
            if node.op_type in _TO_PRODUCT and steps < _FEW and place == 0:
                fresh = [output for output in node.outputs if output not in seen]
                seen.update(fresh)
                waiting += [(output, steps + 1) for output in fresh]
    return None


def _from_softmax(value: ir.Value) -> bool:
    waiting, seen = [value], {value}
    while waiting:
        node = waiting.pop().producer()
        if node is None or node.op_type == "MatMul":
            continue
        if node.op_type == "Softmax":
            return True
        fresh = [v for v in node.inputs if v is not None and v not in seen and scalar(v) is None]
        seen.update(fresh)
        waiting += fresh
    return False


def _other(past: ir.Value, node: ir.Node, where: str) -> ModelError:
    return ModelError(
        f"The cache '{past.name}' is of another layout: {node.op_type} '{node.name}' does not join "
        "it with new rows along one axis of known size.",
        where=where,
        hint="Join the cache by Concat along its positions, as `snapq llm init` does.",
    )
