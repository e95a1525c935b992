"""Outputs of ONNX-ML that are lists of tensors: one output each in a file as read.

skl2onnx gives the probabilities of a MultiOutputClassifier as a list, whose tensors are
[rows, classes] of one label each. Nothing but Python reads lists.
"""

from __future__ import annotations

import onnx
from onnx import helper

__all__ = ["split_lists"]

_ML = "ai.onnx.ml"


def split_lists(proto: onnx.ModelProto) -> None:
    """Gives the tensors `NAME_0`, `NAME_1`, … in the place of a list, in place.

    1. The model holds an operator of ONNX-ML.
    2. A SequenceConstruct makes the output, and nothing else reads it.
    """
    graph = proto.graph
    if all(node.domain != _ML for node in graph.node):
        return
    read = {name for node in graph.node for name in node.input}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "SequenceConstruct"}
    outputs: list[onnx.ValueInfoProto] = []
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    for value in graph.output:
        node = makers.get(value.name)
        if node is None or value.name in read:
            outputs.append(value)
            continue
        kind = value.type.sequence_type.elem_type.tensor_type.elem_type or onnx.TensorProto.FLOAT
        for number, source in enumerate(node.input):
            name = f"{value.name}_{number}"
            while name in taken:
                name += "_"
            taken.add(name)
            graph.node.append(helper.make_node("Identity", [source], [name], name))
            outputs.append(helper.make_tensor_value_info(name, kind, None))
        graph.node.remove(node)
    if len(outputs) != len(graph.output) or any(value.name in makers for value in graph.output):
        kept = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
        del graph.output[:]
        graph.output.extend(kept)
