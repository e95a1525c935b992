"""How a node of a Q/DQ model reads and gives its data, and how to change that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, Names
from snapq.operators import Role, spec_of
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.existing_qdq.reading import constant_array, encoding_of
from snapq.quantization.granularity import PerTensor

__all__ = ["Held", "constant_read", "encoding_read", "held_constant", "requantized"]


class Held:
    """A node with the encodings in which it reads and gives its data."""

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self.graph, self.node = graph, node

    def inputs(self) -> dict[int, Encoding]:
        """Encodings of computed data by input, one scale each."""
        rule = spec_of(self.node)
        found = {}
        for index, value in enumerate(self.node.inputs):
            data = rule.role(index) in (Role.DATA, Role.WEIGHT)
            if value is None or not data or held_constant(value) is not None:
                continue
            encoding = encoding_read(value)
            if encoding is not None and isinstance(encoding.granularity, PerTensor):
                found[index] = encoding
        return found

    def convert(self, change: Callable[[Encoding], Encoding], *, outputs: bool) -> bool:
        """Converts what the node reads, and with `outputs` what it gives too."""
        held = self.inputs()
        given = {v: e for v in self.node.outputs if (e := _encoding_given(v)) is not None}
        whole = not outputs or len(given) == len(self.node.outputs)
        if not held or not whole or not self._bias_can_follow(held):
            return False
        editor = Editor(self.graph)
        editor.begin(self.node)
        for index, encoding in held.items():
            value = self.node.inputs[index]
            assert value is not None
            self.node.replace_input_with(index, requantized(editor, value, change(encoding)))
        if outputs:
            self._constants(editor, change)
            for value, encoding in given.items():
                self._give(value, change(encoding))
        if 0 in held:
            self._scale_bias(editor, float(change(held[0]).scale) / float(held[0].scale))
        return True

    def _bias_can_follow(self, held: dict[int, Encoding]) -> bool:
        """Whether there is no bias, or one that can be scaled."""
        rule = spec_of(self.node)
        bias = [v for i, v in enumerate(self.node.inputs) if rule.role(i) is Role.BIAS and v]
        return 0 not in held or all(_integers(value) is not None for value in bias)

    def _constants(self, editor: Editor, change: Callable[[Encoding], Encoding]) -> None:
        """Constants in the place of data, in the changed encoding."""
        for index, value in enumerate(self.node.inputs):
            if value is None or spec_of(self.node).role(index) is not Role.DATA:
                continue
            array, encoding = held_constant(value), encoding_read(value)
            if array is not None and encoding is not None and encoding.axis is None:
                made = constant_read(editor, str(value.name), array, change(encoding))
                self.node.replace_input_with(index, made)

    def _give(self, value: ir.Value, encoding: Encoding) -> None:
        """Puts a Q and a DQ between the node and what it gives, which keeps its name."""
        editor = Editor(self.graph)
        users = tuple(value.uses())
        name = str(value.name)
        behind = next(node for node, _ in users)
        editor.begin(behind)
        own = ir.Value(name=f"{name}_as_computed", shape=value.shape, type=value.type)
        back = requantized(editor, own, encoding)
        own.name = Names(self.graph).unique(f"{name}_as_computed")
        for user, index in users:
            user.replace_input_with(index, back)
        value.name = str(own.name)
        quantizer = back.producer()
        assert quantizer is not None
        assert quantizer.inputs[0] is not None
        first = quantizer.inputs[0].producer()
        assert first is not None
        first.replace_input_with(0, value)
        back.name = name

    def _scale_bias(self, editor: Editor, ratio: float) -> None:
        """The bias in integers of the new scale of data times weight."""
        for index, value in enumerate(self.node.inputs):
            if value is None or spec_of(self.node).role(index) is not Role.BIAS:
                continue
            reader = value.producer()
            integers = _integers(value)
            if reader is None or integers is None or ratio == 1.0:
                continue
            scale = np.asarray(constant_array(reader.inputs[1]), np.float32)
            limits = np.iinfo(np.int32)
            moved = np.clip(np.rint(integers.astype(np.float64) / ratio), limits.min, limits.max)
            inputs = [
                editor.constant(moved.astype(np.int32), f"{value.name}_integers"),
                editor.constant(np.asarray(scale * ratio, np.float32), f"{value.name}_scale"),
            ]
            made = editor.op("DequantizeLinear", *inputs, **_axis(reader))
            self.node.replace_input_with(index, made)


def requantized(editor: Editor, value: ir.Value, encoding: Encoding) -> ir.Value:
    """The value in another encoding: Q and DQ in front of the editor's place."""
    stem = f"{value.name}_own"
    scale = editor.constant(encoding.scale, f"{stem}_scale")
    zero = editor.constant(encoding.zero_point, f"{stem}_zero_point")
    codes = editor.op("QuantizeLinear", value, scale, zero)
    found = editor.op("DequantizeLinear", codes, scale, zero)
    codes.shape = found.shape = value.shape
    codes.type, found.type = ir.TensorType(encoding.dtype.dtype), ir.TensorType(ir.DataType.FLOAT)
    return found


def constant_read(editor: Editor, stem: str, array: np.ndarray, encoding: Encoding) -> ir.Value:
    """A constant in integers, read back by a DQ."""
    codes = editor.constant(quantize(array, encoding), f"{stem}_codes")
    scale = editor.constant(encoding.scale, f"{stem}_scale")
    zero = editor.constant(encoding.zero_point, f"{stem}_zero_point")
    return editor.op("DequantizeLinear", codes, scale, zero)


def _axis(reader: ir.Node) -> dict[str, int]:
    axis = reader.attributes.get_int("axis", 1)
    return {"axis": axis}


def encoding_read(value: ir.Value) -> Encoding | None:
    """How a tensor is held that a DQ reads back."""
    producer = value.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        return None
    return encoding_of(producer)


def _encoding_given(value: ir.Value) -> Encoding | None:
    """How a tensor is held that nothing but one Q takes."""
    users = tuple(value.uses())
    if value.is_graph_output() or len(users) != 1 or users[0][0].op_type != "QuantizeLinear":
        return None
    return encoding_of(users[0][0])


def held_constant(value: ir.Value | None) -> np.ndarray | None:
    """What a constant holds, read back where it is held in integers; None of what is computed."""
    if value is None:
        return None
    producer = value.producer()
    if producer is not None and producer.op_type == "DequantizeLinear":
        codes, encoding = constant_array(producer.inputs[0]), encoding_of(producer)
        return None if codes is None or encoding is None else dequantize(codes, encoding)
    return constant_array(value)


def _integers(value: ir.Value) -> np.ndarray | None:
    """The integers of a constant that a DQ reads back."""
    producer = value.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        return None
    return constant_array(producer.inputs[0])
