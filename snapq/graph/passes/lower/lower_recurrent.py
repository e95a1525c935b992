"""Gives recurrent layers the form that the NPU takes.

1. `LSTM` and `GRU` that take the batch as first dimension are turned.
2. `sequence_lens` that is constant and gives every sequence its full length is left out.
3. `activations` that are those of the operator anyway are left out: of a layer of two directions
   the provider takes none.

Source: ONNX operators LSTM and GRU, attribute `layout`.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from snapq.graph.edit import Editor, constant_ints, input_at, is_used
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape
from snapq.operators import Family, in_families

OPERATORS = in_families(Family.RECURRENT)

_ACTIVATIONS = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh"), "RNN": ("tanh",)}
"""Of each direction, in lower case: ONNX takes any."""


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one recurrent layer in a form that the NPU has."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return False
    named = node.attributes.get_strings("activations", ())
    each = _ACTIVATIONS[node.op_type]
    plain = "activation_alpha" not in node.attributes and "activation_beta" not in node.attributes
    if named and plain and _are(named, each):
        del node.attributes["activations"]
        return True
    turned = node.attributes.get_int("layout", 0) == 1
    lengths = constant_ints(input_at(node, 4))
    if lengths is not None and set(lengths) == {shape[1] if turned else shape[0]}:
        node.replace_input_with(4, None)
        return True
    return turned and _turn(node, edit)


def _are(named: Sequence[str], each: Sequence[str]) -> bool:
    """Whether every direction has these activations."""
    return [name.lower() for name in named] in (list(each), [*each, *each])


def _turn(node: ir.Node, edit: Editor) -> bool:
    """Exchanges batch and time around a layer of layout 1."""
    inputs = list(node.inputs)
    for index, value in enumerate(inputs):
        if index in (0, 5, 6) and value is not None:
            inputs[index] = edit.op("Transpose", value, perm=[1, 0, 2])
    kept = {
        name: attribute.value for name, attribute in node.attributes.items() if name != "layout"
    }
    results = edit.ops(node.op_type, *inputs, outputs=len(node.outputs), **kept)
    for index, (old, new) in enumerate(zip(node.outputs, results, strict=True)):
        if is_used(old):
            order = [2, 0, 1, 3] if index == 0 else [1, 0, 2]
            edit.replace(old, edit.op("Transpose", new, perm=order))
    return True
