"""Multiply-accumulates, counted from the shapes and attributes of a node."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from snapq.operators.spec import Shapes


def _elements(shape: tuple[int, ...] | None) -> int:
    return 0 if shape is None else prod(shape)


def _input(shapes: Shapes, index: int) -> tuple[int, ...]:
    return (shapes.inputs[index] if index < len(shapes.inputs) else None) or ()


def nothing(_: ir.Node, _shapes: Shapes) -> int:
    """Moves compute nothing."""
    return 0


def input_elements(_: ir.Node, shapes: Shapes) -> int:
    """Reductions touch each input element once."""
    return _elements(shapes.inputs[0])


def conv(_: ir.Node, shapes: Shapes) -> int:
    """For each output element a kernel, `[C_out, C_in / group, …]`."""
    weight = _input(shapes, 1)
    return _elements(shapes.outputs[0]) * prod(weight[1:]) if weight else 0


def conv_transpose(_: ir.Node, shapes: Shapes) -> int:
    """For each input element a kernel, `[C_in, C_out / group, …]`."""
    weight = _input(shapes, 1)
    return _elements(shapes.inputs[0]) * prod(weight[1:]) if weight else 0


def matmul(_: ir.Node, shapes: Shapes) -> int:
    """For each output element a row of the first input."""
    left = _input(shapes, 0)
    return _elements(shapes.outputs[0]) * left[-1] if left else 0


def gemm(node: ir.Node, shapes: Shapes) -> int:
    """As `matmul`, with the first input transposed or not."""
    left = _input(shapes, 0)
    inner = left[0 if node.attributes.get_int("transA", 0) else 1] if len(left) == 2 else 0
    return _elements(shapes.outputs[0]) * inner


def recurrent(_: ir.Node, shapes: Shapes) -> int:
    """Both matrix products of every step and direction: X of `[steps, batch, size]`."""
    data = _input(shapes, 0)
    if len(data) != 3:
        return 0
    return data[0] * data[1] * (prod(_input(shapes, 1)) + prod(_input(shapes, 2)))


def pool(node: ir.Node, shapes: Shapes) -> int:
    """For each output element a window."""
    return _elements(shapes.outputs[0]) * prod(node.attributes.get_ints("kernel_shape", ()))


def attention(_: ir.Node, shapes: Shapes) -> int:
    """Queries by keys, then the result by values; Q is `[..., heads, steps, size]`."""
    query, key, value = (_input(shapes, index) for index in range(3))
    if len(query) == 4 and len(key) == 4 and len(value) == 4:
        return prod(query[:3]) * key[2] * (query[3] + value[3])
    if len(query) == 3 and len(key) == 3 and len(value) == 3:
        return prod(query[:2]) * key[1] * (query[2] + value[2])
    return 0


def einsum(node: ir.Node, shapes: Shapes) -> int:
    """One multiplication for each combination of all indices."""
    left = (node.attributes.get_string("equation", "") or "").replace(" ", "").split("->")[0]
    sizes: dict[str, int] = {}
    for index, term in enumerate(left.split(",")):
        if "." not in term:
            sizes.update(zip(term, _input(shapes, index), strict=False))
    return prod(sizes.values()) if sizes else _elements(shapes.outputs[0])
