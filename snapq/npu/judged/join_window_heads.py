"""Heads of attention within windows, put beside each other by a Concat.

1. `Reshape(Transpose(y))` that puts the H heads of `y = MatMul(p, v)`, `[B, H, T, D]`, beside each
   other as channels `[B T, H D]` becomes a Split into heads, a Reshape of each to `[B T, D]`, and a
   Concat along the channels. For B of 2 and more; one window is cheap as it is.

Estimated (QAIRT 2.51) in us of a block of 4 windows of 64 places and 4 heads of 48 channels
(MobileViT) at w8a16: on SA8797P (v81) 181 to 78, on QCS9075 (v73) 143 to 150. Of 64 windows of 49
places and 3 heads of 32 (Swin): 601 to 548 and 1,285 to 1,114; on soc114 (v85) 690 to 777.
"""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_op
from snapq.graph.head_moves import moves_behind, puts_heads_back
from snapq.graph.shapes import Shape, static_shape
from snapq.npu.judged.codes import coded, codes_behind, recoded
from snapq.npu.judged.copies import changed_copy

__all__ = ["apply", "sites"]

_RANK, _MOST_HEADS = 4, 16


def sites(model: ir.Model) -> tuple[str, ...]:
    """Names of the products whose heads `apply` can put beside each other by a Concat."""
    return tuple(str(node.name) for node in model.graph if _shape(node) is not None)


def apply(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy in which the heads behind these products are put beside each other by a Concat.

    Args:
        model: a float or a Q/DQ model with fixed shapes.
        names: out of `sites`; others are left as they are.
    """
    return changed_copy(model, names, _change)


def _change(node: ir.Node, edit: Editor) -> None:
    shape = _shape(node)
    if shape is not None:
        _rewrite(node, shape, edit)


def _shape(node: ir.Node) -> Shape | None:
    """`[B, H, T, D]` of a product whose heads are put back; None where it is not meant."""
    shape = static_shape(node.outputs[0]) if is_op(node, "MatMul") else None
    if shape is None or len(shape) != _RANK or shape[0] == 1 or 0 in shape:
        return None
    moves = moves_behind(node.outputs[0])
    turned = 2 <= shape[1] <= _MOST_HEADS and any(is_op(move, "Transpose") for move in moves)
    return shape if turned and puts_heads_back(moves, shape) else None


def _rewrite(node: ir.Node, shape: Shape, edit: Editor) -> None:
    """Joins the heads behind one product, in place."""
    old = node.outputs[0]
    moves, codes = moves_behind(old), codes_behind(old)
    end = moves[-1].outputs[0]
    given = static_shape(end)
    assert given is not None
    batch, heads, rows, size = shape
    edit.begin(moves[-1])
    source = old if codes is None else codes
    split = edit.ops("Split", source, outputs=heads, axis=1, num_outputs=heads)
    parts = []
    for part in split:
        part.type = old.type
        flat = edit.op("Reshape", coded(part, source, edit), integers(batch * rows, size))
        parts.append(coded(flat, source, edit))
    joined = coded(edit.op("Concat", *parts, axis=1), source, edit)
    for move in moves:
        if move.op_type == "DequantizeLinear":
            joined = recoded(joined, move, edit)
    edit.replace(end, edit.op("Reshape", joined, integers(*given)))
    edit.remove_if_dead(moves[-1])
