"""Writes operators of ONNX-ML that prepare features or pick labels as operators of ONNX.

Mixtures, clusters, components and naive Bayes of scikit-learn are networks of ONNX's own operators
but for these. Trees, SVMs and linear models are read as they are (`classical`).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.classical import ML_DOMAIN
from snapq.graph.completion import record_shapes
from snapq.graph.edit import Editor, integers, is_used, number, rank

__all__ = ["expand_ml_operators"]


def expand_ml_operators(model: ir.Model) -> int:
    """Replaces such operators, in place; returns how many.

    1. `Scaler(x)` = `(x - offset) scale`.
    2. `Binarizer(x)` = 1 where x is above the threshold, else 0.
    3. `ArrayFeatureExtractor(x, i)` = Gather along the last axis; of one row `[1, N]`.

    Raises:
        ModelError: ONNX Runtime does not run the model, whose shapes it is asked for.
    """
    found = [node for node in model.graph if node.domain == ML_DOMAIN and node.op_type in _WRITERS]
    if not found:
        return 0
    record_shapes(model)
    edit, count = Editor(model.graph), 0
    for node in found:
        edit.begin(node)
        result = _WRITERS[node.op_type](node, edit)
        if result is None or not is_used(node.outputs[0]):
            continue
        edit.replace(node.outputs[0], result)
        edit.remove_if_dead(node)
        count += 1
    return count


def _scaled(node: ir.Node, edit: Editor) -> ir.Value | None:
    source = _real(node.inputs[0], edit)
    for name, operator in (("offset", "Sub"), ("scale", "Mul")):
        given = node.attributes.get(name)
        if given is not None and source is not None:
            source = edit.op(operator, source, np.array(given.as_floats(), np.float32))
    return source


def _binarized(node: ir.Node, edit: Editor) -> ir.Value | None:
    source = _real(node.inputs[0], edit)
    limit = number(node.attributes.get_float("threshold", 0.0))
    return edit.op("Cast", edit.op("Greater", source, limit), to=ir.DataType.FLOAT.value)


def _extracted(node: ir.Node, edit: Editor) -> ir.Value | None:
    source, dimensions = node.inputs[0], rank(node.inputs[0])
    if source is None or not dimensions:
        return None
    if dimensions == 1:
        source = edit.op("Unsqueeze", source, integers(0))
    places = edit.op("Reshape", node.inputs[1], integers(-1))
    return edit.op("Gather", source, places, axis=-1)


def _real(value: ir.Value | None, edit: Editor) -> ir.Value | None:
    if value is None or value.dtype == ir.DataType.FLOAT:
        return value
    return edit.op("Cast", value, to=ir.DataType.FLOAT.value)


_WRITERS = {"Scaler": _scaled, "Binarizer": _binarized, "ArrayFeatureExtractor": _extracted}
