"""Multiplies by 1 what a Gather looked up where a sum, product or the like repeats it.

At 16 bits `x + x * rows`, where rows `[1, 1, 128, 64]` are looked up by ids and x is
`[1, 9, 128, 64]`, has other rows of the table from row 32 on: 10 dB; so have rotary position
embeddings. With a product by 1 between, with 8 bits, and in fp16 all is right (simulator of QAIRT
2.51, mode 3, v73 to v85; v68 is right). It depends on what the compiler does with the sizes, so
all are kept apart.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_float
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, spec_of
from snapq.quantization.encodings import QuantType
from snapq.quantization.qdq.scheme import Scheme, integer_type

__all__ = ["multiply_repeated_rows"]


def multiply_repeated_rows(graph: ir.Graph, scheme: Scheme) -> Scheme:
    """Puts such a product behind each Gather of computed places at 16 bits, in place."""
    edit = Editor(graph)
    for node in tuple(graph):
        wide = integer_type(scheme.precision(str(node.name))[1]) is QuantType.UINT16
        if node.op_type != "Gather" or not wide or not is_float(node.outputs[0]):
            continue
        rows = node.outputs[0]
        if constant(node.inputs[1]) is not None or not _repeated(rows):
            continue
        readers = tuple(rows.uses())
        edit.begin(node)
        product = edit.op("Mul", rows, np.array(1, np.float32))
        product.type, product.shape = rows.type, rows.shape
        for reader, place in readers:
            reader.replace_input_with(place, product)
    return scheme


def _repeated(rows: ir.Value) -> bool:
    """Whether what reads rows, moved about at most, broadcasts them over more elements."""
    found, count = [rows], _elements(rows)
    for value in found:
        for reader, _ in value.uses():
            traits = spec_of(reader).traits
            if Trait.BROADCASTS in traits and _elements(reader.outputs[0]) > count:
                return True
            if Trait.MOVES in traits:
                found += [one for one in reader.outputs if one not in found]
    return False


def _elements(value: ir.Value) -> int:
    shape = static_shape(value)
    return int(np.prod(shape)) if shape is not None else 0
