"""Looks for the places of the best values among their codes, where the NPU has no float.

The NPU has TopK in float and of whole numbers of 32 bits. Divided by their step, the real numbers
that codes stand for are whole, and a Cast takes them (it dequantizes, as the simulator of QAIRT
2.51 has it for QCS6490).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, is_used, producer
from snapq.graph.shapes import static_shape
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["is_searched_by_codes", "search_codes"]


def is_searched_by_codes(node: ir.Node, scheme: Scheme) -> bool:
    """Whether a node looks for places alone, on a chip without float."""
    return node.op_type == "TopK" and not scheme.float16 and not is_used(node.outputs[0])


def search_codes(graph: ir.Graph, scheme: Scheme) -> None:
    """Gives each such node the codes of its input in the place of real numbers, in place."""
    edit = Editor(graph)
    for node in tuple(graph):
        read = producer(node.inputs[0], "DequantizeLinear") if node.inputs else None
        if read is None or not is_searched_by_codes(node, scheme):
            continue
        step, middle = constant(read.inputs[1]), constant(read.inputs[2])
        assert step is not None
        assert middle is not None
        edit.begin(node)
        codes = _in_steps(read.outputs[0], step, middle, edit)
        numbers = edit.op("Cast", codes, to=ir.DataType.INT32.value)
        node.replace_input_with(0, _first_of_equals(numbers, node, edit))
        node.outputs[0].type = ir.TensorType(ir.DataType.INT32)


def _first_of_equals(numbers: ir.Value, node: ir.Node, edit: Editor) -> ir.Value:
    """Numbers apart from one another, of equal ones the first the best, where 32 bits hold that."""
    shape = static_shape(node.inputs[0])
    if shape is None:
        return numbers
    axis = node.attributes.get_int("axis", -1) % len(shape)
    size = shape[axis]
    if size * 2**16 >= 2**31:
        return numbers
    places = np.arange(size, dtype=np.int32)
    if node.attributes.get_int("largest", 1):
        places = places[::-1].copy()
    along = [size if dim == axis else 1 for dim in range(len(shape))]
    apart = edit.op("Mul", numbers, np.array(size, np.int32))
    return edit.op("Add", apart, places.reshape(along))


def _in_steps(source: ir.Value, step: np.ndarray, middle: np.ndarray, edit: Editor) -> ir.Value:
    """Real numbers divided by their step, which are whole."""
    most = np.array(np.iinfo(middle.dtype).max, middle.dtype)
    held = (1 / (step * most)).astype(np.float32), np.zeros_like(middle)
    factor = edit.op("DequantizeLinear", most, *held)
    product = edit.op("Mul", source, factor)
    whole = np.array(1, np.float32), middle
    return edit.op("DequantizeLinear", edit.op("QuantizeLinear", product, *whole), *whole)
