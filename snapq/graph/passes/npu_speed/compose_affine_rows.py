"""Composes steps that scale, shift and mix the rows of a narrow tensor.

1. What Splits, Slices, Concats and Transposes of rows, and sums, differences and constant factors
   make of x, `[1, R, N]` or `[1, N, R]` with R at most 8 and N of 256 or more, is `a x + c` where
   each row of it is one of x scaled and shifted, and those rows follow one another in x.
2. With rows of x that are mixed alike at all places, `[1, R, N]`, it is `m (s x) + c`, where m is a
   Gemm over the rows of all places, whose weights are exact in 8 bits as a rule: each row has
   numbers of one size.

Only where parts of x are taken or joined, and more arithmetic goes away than is written. So
detectors make corners of boxes of distances to their anchors, then centers and sizes, and corners
again. The NPU takes narrow tensors element by element. Estimated in us on QCS9075 and SA8797P
(QAIRT 2.51, fp16), boxes of 8,400 anchors behind three Convs: all of that 2,788 and 687, composed
288 and 171, of which the Convs take 209 and 138; up to centers and sizes alone 667 and 303, 283 and
169. The latter at w8a16 are the faster as they are, 154 and 145 against 204 and 160, so the pass is
judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float, is_op, permutation
from snapq.graph.passes.base import Result
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import static_shape

OPERATORS = ("Add", "Concat", "Div", "Mul", "Neg", "Slice", "Sub", "Transpose")
_ARITHMETIC = ("Add", "Div", "Mul", "Neg", "Sub")
_PARTS = ("Concat", "Slice", "Split")
"""What takes rows or joins them: without one there is nothing to gain."""
_STEPS = (*_ARITHMETIC, *_PARTS, "Transpose")
_RANK, _TURN = 3, (0, 2, 1)
_NARROW, _MANY = 8, 256
"""Rows at most, and places at least."""
_DEEPEST = 64
"""Steps one behind the other that are followed."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class _Rows:
    """A tensor as rows of another one that are mixed, place by place: `factors @ x + offsets`.

    Attributes:
        root: x.
        axis: along which the rows lie in the tensor: 1 or 2.
        factors: `[rows, rows of x, places]`.
        offsets: `[rows, places]`.
        steps: the nodes that make it of x.
    """

    root: ir.Value
    axis: int
    factors: Array
    offsets: Array
    steps: frozenset[ir.Node] = frozenset()

    def mixed(self, factors: Array, offsets: Array, node: ir.Node, *others: _Rows) -> _Rows:
        """What a node makes of it, and of others."""
        steps = self.steps.union({node}, *(one.steps for one in others))
        return _Rows(self.root, self.axis, factors, offsets, steps)

    def count(self, operators: tuple[str, ...]) -> int:
        """How many of the steps are of these operators."""
        return sum(is_op(node, *operators) for node in self.steps)


@dataclass
class _Known:
    """What was found of tensors, so that each is looked at once, and how deep the search is."""

    rows: dict[ir.Value, _Rows] = field(default_factory=dict)
    depth: int = 0


def apply(node: ir.Node, edit: Editor) -> Result:
    """Composes the steps up to one node, if nothing goes on behind it."""
    value = node.outputs[0]
    if not is_float(value) or not is_op(node, *OPERATORS):
        return False
    known = _Known()
    found = _rows(value, known)
    if found is None or found.count(_PARTS) == 0:
        return False
    if not value.is_graph_output() and all(
        _goes_on(use.node, found, known) for use in value.uses()
    ):
        return False
    made = _scaled(found, edit)
    if made is None and not _is_taken_again(value):
        made = _product(found, edit)
    if made is None:
        return False
    return made if found.axis == _axis(found.root) else edit.op("Transpose", made, perm=_TURN)


def _goes_on(reader: ir.Node, found: _Rows, known: _Known) -> bool:
    """Whether a reader is one more step."""
    if not is_op(reader, *_STEPS):
        return False
    after = [_rows(value, known) for value in reader.outputs]
    return all(one is not None and one.root is found.root for one in after)


def _is_taken_again(value: ir.Value) -> bool:
    """Whether a Concat joins a tensor to others of which parts are taken: these go on with it."""
    joined = [use.node.outputs[0] for use in value.uses() if is_op(use.node, "Concat")]
    readers = [use.node for one in joined for use in one.uses()]
    readers += [
        use.node for one in readers if is_op(one, "Transpose") for use in one.outputs[0].uses()
    ]
    return any(is_op(one, "Slice", "Split") for one in readers)


def _axis(value: ir.Value | None) -> int | None:
    """The axis of the rows of a narrow tensor; None for others."""
    shape = static_shape(value)
    if shape is None or len(shape) != _RANK or shape[0] != 1:
        return None
    rows, places = sorted(shape[1:])
    return 1 + shape[1:].index(rows) if rows <= _NARROW and places >= _MANY else None


def _rows(value: ir.Value | None, known: _Known) -> _Rows | None:
    """A tensor as rows of the first one in front of all steps."""
    if value is None or not is_float(value) or constant(value) is not None:
        return None
    axis = _axis(value)
    if axis is None:
        return None
    if value not in known.rows:
        node, found = value.producer(), None
        if node is not None and known.depth < _DEEPEST:
            known.depth += 1
            found = _made_by(node, value, axis, known)
            known.depth -= 1
        known.rows[value] = found or _of_itself(value, axis)
    return known.rows[value]


def _of_itself(value: ir.Value, axis: int) -> _Rows:
    shape = static_shape(value)
    assert shape is not None
    rows, places = shape[axis], shape[_RANK - axis]
    factors = np.broadcast_to(np.eye(rows)[:, :, np.newaxis], (rows, rows, places))
    return _Rows(value, axis, factors, np.zeros((rows, places)))


def _made_by(node: ir.Node, value: ir.Value, axis: int, known: _Known) -> _Rows | None:
    """What a step makes; None where a node is none."""
    if is_op(node, "Transpose") and permutation(node) == _TURN:
        inner = _rows(node.inputs[0], known)
        if inner is None or inner.axis == axis:
            return None
        steps = inner.steps | {node}
        return _Rows(inner.root, axis, inner.factors, inner.offsets, steps)
    if is_op(node, "Slice", "Split"):
        inner = _rows(node.inputs[0], known)
        kept = None if inner is None else _kept(node, value, axis)
        if inner is None or kept is None or inner.axis != axis:
            return None
        return inner.mixed(inner.factors[kept], inner.offsets[kept], node)
    if is_op(node, "Concat"):
        if node.attributes.get_int("axis", 0) % _RANK != axis:
            return None
        return _joined(node, [_rows(one, known) for one in node.inputs])
    return _computed(node, value, axis, known) if is_op(node, *_ARITHMETIC) else None


def _kept(node: ir.Node, value: ir.Value, axis: int) -> list[int] | None:
    """Which rows a Slice or an output of a Split takes; None where it takes places."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return None
    if is_op(node, "Slice"):
        found = taken(node, [range(size) for size in shape])
        if found is None or list(found[_RANK - axis]) != list(range(shape[_RANK - axis])):
            return None
        return list(found[axis])
    if node.attributes.get_int("axis", 0) % _RANK != axis:
        return None
    start = 0
    for output in node.outputs:
        part = static_shape(output)
        if part is None:
            return None
        if output is value:
            return list(range(start, start + part[axis]))
        start += part[axis]
    return None


def _joined(node: ir.Node, parts: list[_Rows | None]) -> _Rows | None:
    known = [one for one in parts if one is not None]
    if len(known) != len(parts) or any(not _alike(one, known[0]) for one in known):
        return None
    factors = np.concatenate([one.factors for one in known])
    offsets = np.concatenate([one.offsets for one in known])
    return known[0].mixed(factors, offsets, node, *known)


def _alike(one: _Rows, other: _Rows) -> bool:
    """Whether two are of the same tensor and lie alike."""
    return one.root is other.root and one.axis == other.axis


def _computed(node: ir.Node, value: ir.Value, axis: int, known: _Known) -> _Rows | None:
    """A sum, a difference, or a constant factor."""
    shape = static_shape(value)
    assert shape is not None
    inner = [_rows(one, known) for one in node.inputs]
    first = inner[0]
    if is_op(node, "Neg"):
        return None if first is None else first.mixed(-first.factors, -first.offsets, node)
    arrays = [_broadcast(constant(one), shape, axis) for one in node.inputs]
    second = inner[1]
    sign = -1.0 if is_op(node, "Sub") else 1.0
    if first is not None and second is not None and is_op(node, "Add", "Sub"):
        if not _alike(first, second) or first.factors.shape != second.factors.shape:
            return None
        factors = first.factors + sign * second.factors
        return first.mixed(factors, first.offsets + sign * second.offsets, node, second)
    part = first or second
    array = arrays[1] if first is not None else arrays[0]
    if part is None or array is None or part.offsets.shape != array.shape or part.axis != axis:
        return None
    if is_op(node, "Add"):
        return part.mixed(part.factors, part.offsets + array, node)
    if is_op(node, "Sub"):
        if first is not None:
            return part.mixed(part.factors, part.offsets - array, node)
        return part.mixed(-part.factors, array - part.offsets, node)
    if is_op(node, "Div"):
        if first is None or not array.all():
            return None
        array = 1 / array
    return part.mixed(part.factors * array[:, np.newaxis], part.offsets * array, node)


def _broadcast(array: np.ndarray | None, shape: tuple[int, ...], axis: int) -> Array | None:
    """A constant as `[rows, places]` of what it is computed with."""
    if array is None or array.ndim > _RANK or (array.ndim == _RANK and array.shape[0] != 1):
        return None
    whole: Array = np.broadcast_to(array.astype(np.float64), shape)[0]
    return whole if axis == 1 else whole.T


def _scaled(found: _Rows, edit: Editor) -> ir.Value | None:
    """Rows that are each one of the root, scaled and shifted; None where they are not."""
    used = found.factors.any(axis=2)
    if not np.all(used.sum(axis=1) == 1):
        return None
    order = used.argmax(axis=1)
    start, stop = int(order[0]), int(order[0]) + len(order)
    factors = np.take_along_axis(found.factors, order[:, np.newaxis, np.newaxis], axis=1)[:, 0]
    if not np.array_equal(order, np.arange(start, stop)) or not _is_less(found, factors):
        return None
    value: ir.Value = found.root
    axis = _axis(found.root)
    assert axis is not None
    if len(order) < found.factors.shape[1]:
        value = edit.op("Slice", value, *map(integers, (start, stop, axis, 1)))
    return _shifted(_times(value, factors, axis, edit), found, edit)


def _product(found: _Rows, edit: Editor) -> ir.Value | None:
    """Rows that mix those of the root alike at all places; None where they do not."""
    axis = _axis(found.root)
    if axis != 1:
        return None
    largest = np.abs(found.factors).max(axis=2).argmax(axis=0)
    scales = np.stack([found.factors[row, at] for at, row in enumerate(largest)])
    if not scales.all():
        return None
    ratios = found.factors / scales
    matrix = ratios.mean(axis=2)
    if not np.allclose(ratios, matrix[:, :, np.newaxis], rtol=1e-6, atol=1e-6):
        return None
    if not _is_less(found, scales):
        return None
    rows, places = found.factors.shape[1:]
    turned = edit.op("Transpose", _times(found.root, scales, axis, edit), perm=_TURN)
    flat = edit.op("Reshape", turned, integers(places, rows))
    product = edit.op("Gemm", flat, matrix.astype(np.float32), transB=1)
    whole = edit.op("Reshape", product, integers(1, places, len(matrix)))
    mixed = edit.op("Transpose", whole, perm=_TURN)
    return _shifted(mixed, found, edit)


def _is_less(found: _Rows, *factors: Array) -> bool:
    """Whether products with these, and the sum, are less arithmetic than there is."""
    written = sum(bool(np.any(one != 1)) for one in factors) + bool(found.offsets.any())
    return written < found.count(_ARITHMETIC)


def _times(value: ir.Value, factors: Array, axis: int, edit: Editor) -> ir.Value:
    """A tensor times `[rows, places]`."""
    return value if np.all(factors == 1) else edit.op("Mul", value, _laid(factors, axis))


def _shifted(value: ir.Value, found: _Rows, edit: Editor) -> ir.Value:
    axis = _axis(found.root)
    assert axis is not None
    return edit.op("Add", value, _laid(found.offsets, axis)) if found.offsets.any() else value


def _laid(array: Array, axis: int) -> np.ndarray:
    """`[rows, places]` as it lies in a tensor."""
    laid = array if axis == 1 else array.T
    return np.ascontiguousarray(laid[np.newaxis]).astype(np.float32)
