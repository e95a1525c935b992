"""Joins the last two axes of narrow tensors, where an operator would stretch another one.

1. `f(x, y)` with x of `[…, a, b]` and y of `[…, 1, b]`, b at most 4, 256 rows or more, f one of
   Add, Div, Mul and Sub, is computed over rows of a b numbers, between Reshapes. Constants are
   repeated, and what is computed is by a product, `y @ T` with T of `[b, a b]`.
2. The same of x that rule 1 left and a constant of `[…, a, b]`.
3. `f(x, c)` with x of `[…, b]`, b at most 4, 256 rows or more, and c one number, is computed over
   rows of the last axes, two or as many as have 128 numbers together.
4. `f(x, c)` with x of five dimensions or more, `[…, b]`, b at most 4, that a Reshape makes of
   longer rows, and any other constant c, is computed over these rows; c is repeated.
5. The same of other tensors of five dimensions or more is computed over rows as in rule 3.

So detectors of hands and faces decode landmarks: points of two coordinates times the size of their
anchors. The NPU stretches such narrow tensors element by element. A product with ones and zeros is
exact in integers and in fp16 alike. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51), 2,944
anchors of 9 points between two Sigmoids: w8a8 213 and 110 against 17 and 12, w8a16 285 and 122
against 47 and 41, fp16 389 and 172 against 63 and 34. Behind other narrow operators it may lose,
so the pass is judged: MediaPipe's palm detector at w8a8 1,569 and 473 against 627 and 422, at w8a16
3,225 and 715 against 2,022 and 866. Rule 3 is for the places that networks of optical flow sample:
RAFT-small with 3 updates of 320 places at w8a8 22,262 against 5,455 us on QCS9075. Rule 4 is for
deformable attention, where the places around which a query samples are constants. Rule 5 is for
heads with anchors: YOLO5Face-n of 640 by 640 in fp16 on QCS9075 10,715 against 8,178 us.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, is_float, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Add", "Div", "Mul", "Sub")
_NARROW, _MANY, _WIDE = 4, 256, 128
"""Numbers of the last axis at most, rows at least, and numbers of a row at most."""
_LARGEST = 1 << 22
"""Numbers of a constant that is repeated, at most: each is read from memory."""
_DEEP = 5
"""Dimensions from which the NPU is slow at narrow tensors, whatever is beside them."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one operator."""
    shapes = [static_shape(value) for value in node.inputs]
    for other in (0, 1):
        whole, beside = shapes[1 - other], shapes[other]
        value = node.inputs[1 - other]
        if whole is None or beside is None or not is_float(value) or constant(value) is not None:
            continue
        stretched = _suits(whole, beside, 1)
        fixed = constant(node.inputs[other]) is not None
        if stretched or (fixed and _is_joined(value) and _suits(whole, beside, whole[-2])):
            return _rewritten(node, whole, other, edit)
        if fixed and prod(beside) == 1 and _is_narrow(whole) and len(beside) <= len(whole):
            return _over_rows(node, whole, other, edit)
        if fixed and len(whole) >= _DEEP and _is_narrow(whole):
            return _over_given_rows(node, whole, other, edit) or _over_rows(
                node, whole, other, edit
            )
    return False


def _suits(whole: Shape, beside: Shape, count: int) -> bool:
    """Whether one tensor is narrow and has many rows, and the other `count` numbers for each."""
    if len(whole) < 3 or len(whole) != len(beside) or whole[-2] < 2:
        return False
    rows, size = prod(whole[:-2]), whole[-1]
    fits = beside[-2:] == (count, size) and beside[:-2] == whole[:-2]
    return fits and size <= _NARROW and whole[-2] * size <= _WIDE and rows >= _MANY


def _is_narrow(shape: Shape) -> bool:
    """Whether a tensor is narrow and has many rows."""
    return len(shape) >= 3 and shape[-1] <= _NARROW and prod(shape[:-1]) >= _MANY


def _is_joined(value: ir.Value | None) -> bool:
    """Whether a Reshape takes rows apart to make a tensor."""
    reshape = producer(value, "Reshape")
    before = static_shape(reshape.inputs[0]) if reshape is not None else None
    shape = static_shape(value)
    return before is not None and shape is not None and before[-1:] == (shape[-2] * shape[-1],)


def _rewritten(node: ir.Node, shape: Shape, other: int, edit: Editor) -> ir.Value:
    """The operator over rows, and a Reshape to what it was."""
    rows, count, size = prod(shape[:-2]), *shape[-2:]
    fixed = constant(node.inputs[other])
    beside: ir.Value | np.ndarray
    if fixed is not None:
        beside = np.broadcast_to(fixed, shape).reshape(rows, count * size).copy()
    else:
        repeat = np.tile(np.eye(size, dtype=np.float32), (count, 1))
        few = edit.op("Reshape", node.inputs[other], integers(rows, size))
        beside = edit.op("Gemm", few, repeat, transB=1)
    joined = edit.op("Reshape", node.inputs[1 - other], integers(rows, count * size))
    operands = (beside, joined) if other == 0 else (joined, beside)
    made = edit.op(node.op_type, *operands)
    for value in (joined, made):  # compose_affine_rows goes through both in the same sweep
        value.shape = ir.Shape((rows, count * size))
        value.dtype = ir.DataType.FLOAT
    return edit.op("Reshape", made, integers(*shape))


def _over_given_rows(node: ir.Node, shape: Shape, other: int, edit: Editor) -> Result:
    """The operator over the rows that a Reshape took apart, and the Reshape behind it."""
    reshape = producer(node.inputs[1 - other], "Reshape")
    before = static_shape(reshape.inputs[0]) if reshape is not None else None
    fixed = constant(node.inputs[other])
    assert fixed is not None
    if reshape is None or before is None or len(before) < 2 or before[-1] <= _NARROW:
        return False
    if static_shape(node.outputs[0]) != shape or prod(shape) > _LARGEST:
        return False
    beside = np.broadcast_to(fixed, shape).reshape(before).copy()
    rows = reshape.inputs[0]
    operands = (beside, rows) if other == 0 else (rows, beside)
    return edit.op("Reshape", edit.op(node.op_type, *operands), integers(*shape))


def _over_rows(node: ir.Node, shape: Shape, other: int, edit: Editor) -> Result:
    """The operator with a constant over longer rows, and a Reshape to what it was."""
    kept = len(shape) - 2
    while kept > 1 and prod(shape[kept - 1 :]) <= _WIDE:
        kept -= 1
    rows, wide = prod(shape[:kept]), prod(shape[kept:])
    if wide <= _NARROW or rows < 2:
        return False
    fixed = constant(node.inputs[other])
    assert fixed is not None
    beside: np.ndarray = fixed.reshape(-1)
    if fixed.size > 1:
        if static_shape(node.outputs[0]) != shape or prod(shape) > _LARGEST:
            return False
        beside = np.broadcast_to(fixed, shape).reshape(rows, wide).copy()
    joined = edit.op("Reshape", node.inputs[1 - other], integers(rows, wide))
    operands = (beside, joined) if other == 0 else (joined, beside)
    return edit.op("Reshape", edit.op(node.op_type, *operands), integers(*shape))
