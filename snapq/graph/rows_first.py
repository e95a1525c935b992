"""Outputs of ONNX-ML whose rows are on the second axis: turned round in a file as read.

skl2onnx gives the probabilities of a forest or tree with several labels as [labels, rows, classes].
Whoever takes rows in batches, and puts the answers behind each other, wants the rows first.
"""

from __future__ import annotations

import onnx
from onnx import helper

__all__ = ["put_rows_first"]

_ML = "ai.onnx.ml"


def put_rows_first(proto: onnx.ModelProto) -> None:
    """Swaps the first two axes of such outputs, in place.

    1. The model holds an operator of ONNX-ML.
    2. The output is declared as [number, open, …].
    """
    graph = proto.graph
    if all(node.domain != _ML for node in graph.node):
        return
    made = {name: node for node in graph.node for name in node.output}
    for value in graph.output:
        axes = value.type.tensor_type.shape.dim
        if len(axes) < 3 or value.name not in made or not _rows_second(axes):
            continue
        source = _fresh(f"{value.name}_by_label", proto)
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [source if name == value.name else name for name in names]
        order = [1, 0, *range(2, len(axes))]
        graph.node.append(
            helper.make_node("Transpose", [source], [value.name], f"{value.name}_rows", perm=order)
        )
        first, second = (onnx.TensorShapeProto.Dimension() for _ in range(2))
        first.CopyFrom(axes[1])
        second.CopyFrom(axes[0])
        axes[0].CopyFrom(first)
        axes[1].CopyFrom(second)


def _rows_second(axes: list[onnx.TensorShapeProto.Dimension]) -> bool:
    number = axes[0].HasField("dim_value") and axes[0].dim_value > 0
    return number and not (axes[1].HasField("dim_value") and axes[1].dim_value > 0)


def _fresh(name: str, proto: onnx.ModelProto) -> str:
    graph = proto.graph
    taken = {one for node in graph.node for one in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    while name in taken:
        name += "_"
    return name
