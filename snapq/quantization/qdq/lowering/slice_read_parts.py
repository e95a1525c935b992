"""Takes the parts of a Split that are read by Slices, where nothing reads one of the others.

What nothing reads has no encoding, so that the provider makes it in float: chips without float
refuse such a Split (QCS6490), on others it takes up to 2.7 times the time (768 features of 196 rows
in three at w8a16, of which two are read: 283 and 103 us estimated on QCS9075; 64 rows of pixels 315
and 152). In fp16 the Split may be the faster one, and stays.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, is_used, remove_unused_constants
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["slice_read_parts"]


def slice_read_parts(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Replaces each such Split, in place; the Slices have its precision."""
    edit = Editor(graph)
    per_node = dict(scheme.per_node)
    for node in tuple(graph):
        if node.op_type != "Split" or all(is_used(part) for part in node.outputs):
            continue
        name, axis = str(node.name), node.attributes.get_int("axis", 0)
        shapes = [shape for part in node.outputs if (shape := static_shape(part)) is not None]
        kept_float = integer_type(scheme.precision(name)[1]) is None
        if kept_float or len(shapes) < len(node.outputs):
            continue
        edit.begin(node)
        ends = accumulate(shape[axis] for shape in shapes)
        for part, shape, end in zip(tuple(node.outputs), shapes, ends, strict=True):
            if is_used(part):
                bounds = integers(end - shape[axis]), integers(end), integers(axis)
                read = edit.op("Slice", node.inputs[0], *bounds)
                edit.replace(part, read)
                maker = read.producer()
                if name in per_node and maker is not None:
                    per_node[str(maker.name)] = per_node[name]
        edit.remove_if_dead(node)
    remove_unused_constants(graph)
    return replace(scheme, per_node=per_node)
