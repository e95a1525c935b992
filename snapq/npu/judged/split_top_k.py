"""TopK of more than 64 values in several steps.

1. `TopK(x, k)` of floats with k above 64 becomes TopKs of 64, each of what the ones before left:
   what they took has the lowest number of fp16 (the highest, where the smallest are asked for).

The NPU has a fast TopK up to 64 values. Estimated in us on QCS9075 and SA8797P (QAIRT 2.51), of
8,400 values in fp16: k = 64 397 and 191, k = 100 2,596 and 609 against 603 and 309, k = 300 2,711
and 660 against 1,209 and 660. Integers have no number left that is lower than all: of them a TopK
stays as it is, as values at the lower end would be taken twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant_ints, integers, is_float, is_op
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import static_shape
from snapq.npu.judged.codes import CODES

__all__ = ["apply", "sites"]

_FAST = 64
_MOST = 512
"""Values that are asked for: eight steps."""
_LOWEST = float(np.finfo(np.float16).min)


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the TopKs that `apply` can take apart."""
    return tuple(str(node.name) for node in _suited(model))


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which these TopKs are taken in steps.

    Args:
        model: a model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    result = model.clone()
    edit = Editor(result.graph)
    for node in tuple(_suited(result)):
        if node.name in names:
            _rewrite(node, edit)
    infer_shapes(result)
    return result


def _suited(model: ir.Model) -> Iterator[ir.Node]:
    for node in model.graph:
        if not is_op(node, "TopK") or not is_float(node.inputs[0]):
            continue
        count, shape = constant_ints(node.inputs[1]), static_shape(node.inputs[0])
        value = node.inputs[0]
        maker = value.producer() if value is not None else None
        held = maker is not None and maker.op_type in CODES
        readers = (use.node.op_type for use in node.outputs[0].uses())
        if count is None or shape is None or held or any(one in CODES for one in readers):
            continue
        if len(count) == 1 and _FAST < count[0] <= min(_MOST, shape[_axis(node, len(shape))]):
            yield node


def _axis(node: ir.Node, rank: int) -> int:
    return node.attributes.get_int("axis", -1) % rank


def _rewrite(node: ir.Node, edit: Editor) -> None:
    """Takes one TopK apart, in place."""
    left, shape = node.inputs[0], static_shape(node.inputs[0])
    counts = constant_ints(node.inputs[1])
    assert left is not None
    assert shape is not None
    assert counts is not None
    axis, largest = _axis(node, len(shape)), node.attributes.get_int("largest", 1)
    taken = np.array(_LOWEST if largest else -_LOWEST, np.float32)
    edit.begin(node)
    parts = []
    for start in range(0, counts[0], _FAST):
        size = min(_FAST, counts[0] - start)
        part = edit.ops(
            "TopK", left, integers(size), outputs=2, axis=axis, largest=largest, sorted=1
        )
        for made, old in zip(part, node.outputs, strict=True):
            made.type = old.type
        parts.append(part)
        if start + size < counts[0]:
            marks = np.full([*shape[:axis], size, *shape[axis + 1 :]], taken)
            left = edit.op("ScatterElements", left, part[1], marks, axis=axis)
            left.type = node.inputs[0].type if node.inputs[0] is not None else None
    for index, old in enumerate(tuple(node.outputs)):
        if old.uses() or old.is_graph_output():
            edit.replace(old, edit.op("Concat", *(part[index] for part in parts), axis=axis))
    edit.remove_if_dead(node)
