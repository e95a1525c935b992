"""ZipMap of ONNX-ML, which makes a list of dictionaries of scores: taken out of a file as read.

Converters of scikit-learn put it at the end. Its outputs are no tensors, so nothing but Python can
read them; the scores that it is given are the same numbers, a column a class.
"""

from __future__ import annotations

import onnx

__all__ = ["drop_zip_maps"]

_OPSET = 13


def drop_zip_maps(proto: onnx.ModelProto) -> None:
    """Gives the scores in the place of their dictionaries, in place.

    1. What a ZipMap is given takes the name of what it makes.
    2. Where that name is wanted too (it is an output, or an input of the model), an Identity
       stands in its place.
    """
    graph = proto.graph
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        if len(node.input) != 1 or len(node.output) != 1:
            continue
        source, target = node.input[0], node.output[0]
        kept = {value.name for value in (*graph.input, *graph.output)}
        for value in graph.output:
            if value.name == target:
                _become_scores(value, node)
        if source in kept or not any(source in one.output for one in graph.node):
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:]
            _import_standard(proto)
            continue
        graph.node.remove(node)
        for one in graph.node:
            for names in (one.input, one.output):
                for index, name in enumerate(names):
                    if name == source:
                        names[index] = target
        for value in tuple(graph.value_info):
            if value.name in (source, target):
                graph.value_info.remove(value)


def _become_scores(value: onnx.ValueInfoProto, node: onnx.NodeProto) -> None:
    """Declares an output as what a ZipMap is given: float32 [rows, classes]."""
    classes = max((len(a.strings) or len(a.ints) for a in node.attribute), default=0)
    value.type.Clear()
    shape: list[int | None] = [None, classes or None]
    value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))


def _import_standard(proto: onnx.ModelProto) -> None:
    if all(entry.domain not in ("", "ai.onnx") for entry in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid("", _OPSET))
