"""Composes steps that scale, shift and mix the rows of a narrow tensor.

1. What Splits, Slices, Concats and Transposes of rows, and sums, differences and constant factors
   make of x, `[1, R, N]` or `[1, N, R]` with R of about 20 at most and N of 256 or more, is
   `a x + c` where each row of it is one of x scaled and shifted, and those rows follow one another
   in x.
2. With rows of x that are mixed alike at all places, it is `m (s x) + c`, where m is a Gemm over
   the rows of all places, whose weights are exact in 8 bits as a rule: each row has numbers of one
   size.

The rows may lie along several axes, `[1, N, P, 2]`, as points of two coordinates do, and Reshapes
may join and part these.

Only where parts of x are taken or joined, and more arithmetic goes away than is written. So
detectors make corners of boxes of distances to their anchors, then centers and sizes, and corners
again. The NPU takes narrow tensors element by element. Estimated in us on QCS9075 and SA8797P
(QAIRT 2.51, fp16), boxes of 8,400 anchors behind three Convs: all of that 2,788 and 687, composed
288 and 171, of which the Convs take 209 and 138; up to centers and sizes alone 667 and 303, 283 and
169. The latter at w8a16 are the faster as they are, 154 and 145 against 204 and 160, so the pass is
judged. MediaPipe's palm detector, boxes and seven points of 2,944 anchors: fp16 2,920 and 1,128
against 1,474 and 635, w8a8 589 against 300 on QCS9075, there with the boxes at 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float, is_op, permutation
from snapq.graph.passes.base import Result
from snapq.graph.passes.slices import taken
from snapq.graph.shapes import static_shape

OPERATORS = ("Add", "Concat", "Div", "Mul", "Neg", "Reshape", "Slice", "Sub", "Transpose")
_ARITHMETIC = ("Add", "Div", "Mul", "Neg", "Sub")
_PARTS = ("Concat", "Slice", "Split")
"""What takes rows or joins them: without one there is nothing to gain."""
_STEPS = (*_ARITHMETIC, *_PARTS, "Reshape", "Transpose")
_RANK, _TURN = 3, (0, 2, 1)
_NARROW, _MANY = 8, 256
"""Rows at most, and places at least."""
_FACTORS = 2**20
"""Rows may be more where all are mixed with all at all places by so many factors at most."""
_PLAIN = 2
"""Axes of a tensor without one for samples."""
_DEEPEST = 64
"""Steps one behind the other that are followed."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class _Rows:
    """A tensor as rows of another one that are mixed, place by place: `factors @ x + offsets`.

    Attributes:
        root: x.
        axis: along which the rows lie in the tensor: 1, or 2, as all that is behind the places.
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
    if found.axis != _axis(found.root):
        made = edit.op("Transpose", made, perm=_TURN)
    shape = _shape(value)
    return made if len(shape) == _RANK else edit.op("Reshape", made, integers(*shape))


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
    if shape is None or len(shape) < _PLAIN or (len(shape) > _PLAIN and shape[0] != 1):
        return None
    if len(shape) == _RANK and shape[1] < shape[2]:
        return 1 if _fits(*shape[1:]) else None
    places, *rows = shape if len(shape) == _PLAIN else shape[1:]
    return 2 if _fits(prod(rows), places) else None


def _fits(rows: int, places: int) -> bool:
    few = 0 < rows <= _NARROW or 0 < rows * rows * places <= _FACTORS
    return few and places >= max(_MANY, rows)


def _counts(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Rows and places of a narrow tensor."""
    if axis == 1:
        return shape[1], shape[2]
    places = shape[0] if len(shape) == _PLAIN else shape[1]
    return prod(shape) // places, places


def _grid(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """The number of its row at each place of a narrow tensor's axes of rows, 1 at the others."""
    rows, _ = _counts(shape, axis)
    if axis == 1:
        return np.arange(rows).reshape(1, rows, 1)
    behind = shape[1:] if len(shape) == _PLAIN else shape[2:]
    return np.arange(rows).reshape(*(1,) * (len(shape) - len(behind)), *behind)


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
    rows, places = _counts(_shape(value), axis)
    factors = np.broadcast_to(np.eye(rows)[:, :, np.newaxis], (rows, rows, places))
    return _Rows(value, axis, factors, np.zeros((rows, places)))


def _made_by(node: ir.Node, value: ir.Value, axis: int, known: _Known) -> _Rows | None:
    """What a step makes; None where a node is none."""
    turned = is_op(node, "Transpose") and permutation(node) == _TURN
    if turned or is_op(node, "Reshape"):
        inner = _rows(node.inputs[0], known)
        if inner is None or (inner.axis == axis) == turned:
            return None
        if not turned and (axis == 1 or inner.offsets.shape != _counts(_shape(value), axis)):
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
        return _joined(node, axis, [_rows(one, known) for one in node.inputs])
    return _computed(node, value, axis, known) if is_op(node, *_ARITHMETIC) else None


def _kept(node: ir.Node, value: ir.Value, axis: int) -> list[int] | None:
    """Which rows a Slice or an output of a Split takes; None where it takes places."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return None
    grid = _grid(shape, axis)
    ranges = [range(size) for size in shape]
    if is_op(node, "Slice"):
        found = taken(node, ranges)
        if found is None:
            return None
        ranges = found
    else:
        along, start = node.attributes.get_int("axis", 0) % len(shape), 0
        for output in node.outputs:
            part = static_shape(output)
            if part is None:
                return None
            if output is value:
                ranges[along] = range(start, start + part[along])
                break
            start += part[along]
    for at, (size, kept) in enumerate(zip(shape, ranges, strict=True)):
        if grid.shape[at] > 1:
            grid = grid.take(list(kept), axis=at)
        elif kept != range(size):
            return None
    return [int(row) for row in grid.ravel()]


def _joined(node: ir.Node, axis: int, parts: list[_Rows | None]) -> _Rows | None:
    known = [one for one in parts if one is not None]
    if len(known) != len(parts) or any(not _alike(one, known[0]) for one in known):
        return None
    shapes = [_shape(value) for value in node.inputs]
    along = node.attributes.get_int("axis", 0) % len(shapes[0])
    if along < (1 if axis == 1 or len(shapes[0]) == _PLAIN else 2) or known[0].axis != axis:
        return None
    if axis == 1 and along != axis:
        return None
    starts = np.cumsum([0, *(len(one.offsets) for one in known)])
    grids = [_grid(one, axis) + start for one, start in zip(shapes, starts, strict=False)]
    order = np.concatenate(grids, axis=along).ravel()
    factors = np.concatenate([one.factors for one in known])[order]
    offsets = np.concatenate([one.offsets for one in known])[order]
    return known[0].mixed(factors, offsets, node, *known)


def _shape(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a narrow tensor, which is known."""
    shape = static_shape(value)
    assert shape is not None
    return shape


def _alike(one: _Rows, other: _Rows) -> bool:
    """Whether two are of the same tensor and lie alike."""
    return one.root is other.root and one.axis == other.axis


def _computed(node: ir.Node, value: ir.Value, axis: int, known: _Known) -> _Rows | None:
    """A sum, a difference, or a constant factor."""
    shape = _shape(value)
    inner = [_rows(one, known) if static_shape(one) == shape else None for one in node.inputs]
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
    if array is None or array.ndim > len(shape):
        return None
    try:
        whole: Array = np.broadcast_to(array.astype(np.float64), shape)
    except ValueError:
        return None
    rows, places = _counts(shape, axis)
    return whole.reshape(rows, places) if axis == 1 else whole.reshape(places, rows).T


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
    if len(_shape(value)) != _RANK:
        rows, places = found.factors.shape[1:]
        value = edit.op("Reshape", value, integers(1, places, rows))
    if len(order) < found.factors.shape[1]:
        value = edit.op("Slice", value, *map(integers, (start, stop, axis, 1)))
    return _shifted(_times(value, factors, axis, edit), found, edit)


def _product(found: _Rows, edit: Editor) -> ir.Value | None:
    """Rows that mix those of the root alike at all places; None where they do not."""
    axis = _axis(found.root)
    assert axis is not None
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
    value = found.root
    if len(_shape(value)) != _RANK:
        value = edit.op("Reshape", value, integers(1, places, rows))
    value = _times(value, scales, axis, edit)
    if axis == 1:
        value = edit.op("Transpose", value, perm=_TURN)
    flat = edit.op("Reshape", value, integers(places, rows))
    product = edit.op("Gemm", flat, matrix.astype(np.float32), transB=1)
    mixed = edit.op("Reshape", product, integers(1, places, len(matrix)))
    if axis == 1:
        mixed = edit.op("Transpose", mixed, perm=_TURN)
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
