"""Ways of writing a node otherwise, tried where the NPU computes it wrongly.

Each changes one node of a Q/DQ or float model in place, and what the node gives keeps its name, so
that parts of both models compare. A mend is a function that says whether it found something to do;
a new one is a line of `MENDS`, cheap ones first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor
from snapq.operators import Encodings, quantized
from snapq.quantization.agreement import forms
from snapq.quantization.agreement.holding import Held, held_constant
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.qdq.decisions import KEPT_FLOAT
from snapq.quantization.qdq.islands import separate

__all__ = ["MENDS", "Mend"]

_OWN = 1.0 + 2.0**-10
"""An encoding of its own is that much wider."""


@dataclass(frozen=True)
class Mend:
    """A way of writing a node otherwise.

    Attributes:
        text: what was done to the node, for the note.
        apply: does it; False where there is nothing to do.
        float16: whether the device has to have 16-bit floating point.
        whole: whether it may be done to all nodes of a region together.
    """

    text: str
    apply: Callable[[ir.Graph, ir.Node], bool]
    float16: bool = False
    whole: bool = False


def own_encoding(graph: ir.Graph, node: ir.Node) -> bool:
    """Reads the data in an encoding of the node's own, a little wider than the tensor's."""

    def wider(encoding: Encoding) -> Encoding:
        return replace(encoding, scale=np.asarray(encoding.scale * _OWN, np.float32))

    rule = quantized(node)
    if rule is None:
        return False
    return Held(graph, node).convert(wider, outputs=rule.encodings is not Encodings.OWN)


def in_bits(dtype: QuantType) -> Callable[[ir.Graph, ir.Node], bool]:
    """Computes the node in another integer type, over the same ranges."""

    def apply(graph: ir.Graph, node: ir.Node) -> bool:
        def other(encoding: Encoding) -> Encoding:
            return asymmetric(encoding.minimum, encoding.maximum, dtype)

        held = Held(graph, node)
        types = {encoding.dtype for encoding in held.inputs().values()}
        if not types or dtype in types or types - {QuantType.UINT8, QuantType.UINT16}:
            return False
        return held.convert(other, outputs=True)

    return apply


def in_float16(graph: ir.Graph, node: ir.Node) -> bool:
    """Computes the node in 16-bit floating point, between a DQ and a Q."""
    if KEPT_FLOAT in node.metadata_props or not Held(graph, node).inputs():
        return False
    editor = Editor(graph)
    editor.begin(node)
    for index, value in enumerate(node.inputs):
        array = held_constant(value)
        if array is not None and value is not None:
            node.replace_input_with(index, editor.constant(array, f"{value.name}_float"))
    node.metadata_props[KEPT_FLOAT] = "the NPU computes it wrongly in integers"
    separate(graph)
    return True


MENDS: tuple[Mend, ...] = (
    Mend("reads its data in an encoding of its own", own_encoding),
    Mend("is written with its constant first", forms.constant_first),
    Mend("is written as 1 / x", forms.reciprocal_by_division),
    Mend("is written as 0.5 + 0.5 tanh(x / 2)", forms.sigmoid_by_tanh),
    Mend("is written as 1 / (1 + exp(-x))", forms.sigmoid_by_exp),
    Mend("divides what it takes by 64 first", forms.division_of_smaller),
    Mend("takes its means axis by axis", forms.mean_by_axis),
    Mend("is bounded below at -80", forms.bounded_exp),
    Mend("is written as max(x, 0) + log(1 + exp(-|x|))", forms.softplus_by_parts),
    Mend("computes with its data divided by 256", forms.norm_of_smaller),
    Mend("computes in 16 bits", in_bits(QuantType.UINT16), whole=True),
    Mend("computes in 16-bit floating point", in_float16, float16=True, whole=True),
    Mend("computes in 8 bits", in_bits(QuantType.UINT8), whole=True),
)
"""In the order in which they are tried."""
