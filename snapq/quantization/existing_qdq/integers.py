"""What is computed on the integers between a Q and a DQ, written on their real numbers.

An integer `c` of an encoding stands for `(c - zero_point) * scale`, which rises with `c`: what
moves, bounds or compares integers does the same to their real numbers once its constants are
real numbers too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import Names, add_constant, constant, input_at, rank, short_name
from snapq.operators import Role, Trait, spec_of
from snapq.quantization.encodings import Encoding, QuantType, broadcast, dequantize, quantize
from snapq.quantization.existing_qdq.pairs import alike

__all__ = ["FILLS_WITH_ZERO", "Integers", "unknown_form"]

_KEEPS_PLACES = ("Identity", "Relu", "Clip", "Max", "Min", "Cast")
"""Operators after which the axis of a scale for each channel is where it was."""
_MOVES = (
    *("MaxPool", "Where", "Resize", "ReduceMax", "ReduceMin", "TopK"),
    *("ScatterElements", "ScatterND"),
)
"""Operators that give integers out of those that they take, beside those with the trait."""
_SMALL = {QuantType.INT8: QuantType.INT4, QuantType.UINT8: QuantType.UINT4}
FILLS_WITH_ZERO = ("Trilu", "CenterCropPad")
"""Operators that fill in the integer 0 beside what they move."""
_ASKS_FOR_PLACES = ("ArgMax", "ArgMin", "Shape", "Size")
"""Operators whose outputs are no values of what they take."""


class Integers:
    """The integer tensors of a graph, each with the real tensor that stands for it.

    Args:
        model: the model; its nodes are changed in place.
        names: of its graph.
        hold: called with a real tensor and its encoding, where a node bounds integers.
    """

    def __init__(
        self, model: ir.Model, names: Names, hold: Callable[[ir.Value, Encoding], None]
    ) -> None:
        self._model, self._names, self._hold = model, names, hold
        self.real: dict[ir.Value, tuple[ir.Value, Encoding]] = {}

    def reads(self, node: ir.Node) -> bool:
        """Whether a node takes integers that stand for real numbers."""
        return any(value in self.real for value in node.inputs if value is not None)

    def make_real(self, node: ir.Node) -> None:
        """Lets a node compute on real numbers, in place.

        1. What moves elements moves real numbers; constants among them, and what a Pad fills in,
           become real.
        2. Relu, Clip, Max and Min bound real numbers by the real numbers of their bounds.
        3. A Cast to float gives the integers, as numbers that are not rounded.

        Raises:
            ModelError: it does anything else with integers; the node is named.
        """
        encoding = self._encoding(node)
        if node.op_type == "Cast":
            self._cast(node, encoding)
            return
        if node.op_type == "Relu":
            self._relu(node, encoding)
        elif node.op_type in ("Clip", "Max", "Min"):
            if self._bound_stored(node, encoding):
                return
            self._read_real(node, encoding, range(len(node.inputs)))
            if node.op_type == "Clip" and encoding.axis is not None:
                self._bound_each_channel(node)
        elif spec_of(node).has(Trait.MOVES) or node.op_type in _MOVES:
            self._move(node, encoding)
        elif node.op_type in _ASKS_FOR_PLACES:
            self._read_real(node, encoding, (0,))
            return
        else:
            raise unknown_form(node, f"computes on integers, as {_article(node)} does not on reals")
        bounds = node.op_type in ("Relu", "Clip", "Max", "Min")
        for index, output in enumerate(node.outputs):
            if index and node.op_type in ("MaxPool", "TopK"):
                break  # places
            output.type = ir.TensorType(ir.DataType.FLOAT)
            # The node gives real numbers from here on; what reads integers, reads another value.
            integers = ir.Value(name=output.name)
            output.replace_all_uses_with(integers)
            self.real[integers] = (output, encoding)
            if bounds:
                self._hold(output, encoding)

    def rescaled(self, node: ir.Node, real: ir.Value, held: Encoding, read: Encoding) -> ir.Value:
        """The real tensor that a DQ gives with another scale or zero point than the Q's.

        `(c - z2) * s2 = ((c - z1) * s1) * (s2 / s1) + (z1 - z2) * s2`
        """
        dims = rank(real) or 0
        scale, zero = broadcast(held, dims)
        other_scale, other_zero = broadcast(read, dims)
        return self._scaled(
            node, real, other_scale / scale, (zero - other_zero) * other_scale, "rescaled"
        )

    def _encoding(self, node: ir.Node) -> Encoding:
        """The encoding that all integers share which a node takes."""
        found = [self.real[v][1] for v in node.inputs if v is not None and v in self.real]
        first = found[0]
        if not all(alike(first, other) for other in found):
            raise unknown_form(node, "takes integers of different scales together")
        if first.axis is not None and node.op_type not in (*_KEEPS_PLACES, *_ASKS_FOR_PLACES):
            raise unknown_form(node, "takes integers with a scale for each channel")
        return first

    def _read_real(self, node: ir.Node, encoding: Encoding, indices: Iterable[int]) -> None:
        for index in indices:
            value = input_at(node, index)
            if value is None:
                continue
            if value in self.real:
                node.replace_input_with(index, self.real[value][0])
                continue
            array = constant(value)
            if array is None or not np.issubdtype(array.dtype, np.integer):
                raise unknown_form(node, f"takes integers and '{value.name}' together")
            node.replace_input_with(index, self._real_constant(node, array, encoding))

    def _real_constant(self, node: ir.Node, array: np.ndarray, encoding: Encoding) -> ir.Value:
        if encoding.axis is not None and array.size == 1:
            dims = rank(node.inputs[0]) or 0
            scale, zero = broadcast(encoding, dims)
            real = ((array.astype(np.float64).reshape(()) - zero) * scale).astype(np.float32)
        else:
            real = dequantize(array, encoding)
        return add_constant(self._model.graph, self._names.unique(f"{node.name}_real"), real)

    def _relu(self, node: ir.Node, encoding: Encoding) -> None:
        self._read_real(node, encoding, (0,))
        if not encoding.zero_point.any():
            return
        node.op_type = "Clip" if encoding.axis is None else "Max"
        node.resize_inputs(2)
        zero = np.zeros((), encoding.dtype.numpy)
        node.replace_input_with(1, self._real_constant(node, zero, encoding))

    def _bound_stored(self, node: ir.Node, encoding: Encoding) -> bool:
        """Bounds a constant, whose integers may then be of 4 bits; False for what is computed.

        Brevitas stores weights of few bits as 8-bit integers and bounds them behind the Q.
        """
        source, *others = (value for value in node.inputs if value is not None)
        if node.op_type != "Clip" or source not in self.real:
            return False
        real = constant(self.real[source][0])
        limits = [constant(value) for value in others]
        if real is None or any(limit is None or limit.size != 1 for limit in limits):
            return False
        ends = (encoding.dtype.qmin, encoding.dtype.qmax)
        low, high = (
            end if (limit := constant(input_at(node, index))) is None else int(limit.reshape(-1)[0])
            for index, end in enumerate(ends, 1)
        )
        bounded = dequantize(
            np.clip(quantize(real, encoding).astype(np.int64), low, high), encoding
        )
        small = _SMALL.get(encoding.dtype)
        held = small if small and _fits(small, (low, high), encoding) else encoding.dtype
        zero = encoding.zero_point.astype(held.numpy)
        name = self._names.unique(f"{self.real[source][0].name}_bounded")
        stored = add_constant(self._model.graph, name, bounded)
        self._hold(stored, replace(encoding, dtype=held, zero_point=zero))
        self.real[node.outputs[0]] = (stored, encoding)
        node.replace_input_with(0, stored)  # the node goes with its integers
        return True

    def _bound_each_channel(self, node: ir.Node) -> None:
        """Writes a Clip, whose limits are one number each, as a Max and a Min of arrays."""
        value, low, high = node.inputs[0], input_at(node, 1), input_at(node, 2)
        assert value is not None
        if low is not None and high is not None:
            name = self._names.unique(f"{node.name}_max")
            above = ir.node("Max", [value, low], name=name)
            above.outputs[0].name, above.outputs[0].type = name, ir.TensorType(ir.DataType.FLOAT)
            self._model.graph.insert_before(node, above)
            value = above.outputs[0]
        node.op_type = "Max" if high is None else "Min"
        node.resize_inputs(2)
        node.replace_input_with(0, value)
        node.replace_input_with(1, low if high is None else high)

    def _move(self, node: ir.Node, encoding: Encoding) -> None:
        fills = node.op_type in FILLS_WITH_ZERO
        if fills and encoding.zero_point.any():
            raise unknown_form(node, "fills in the integer 0, which stands for another number")
        if node.attributes.get_string("reduction", "none") != "none":
            raise unknown_form(node, "adds integers to integers")
        data = [i for i in range(len(node.inputs)) if spec_of(node).role(i) is Role.DATA]
        if node.op_type == "Resize":
            data = [0]
        self._read_real(node, encoding, data or (0,))
        constant_pad = node.attributes.get_string("mode", "constant") == "constant"
        if node.op_type == "Pad" and constant_pad and input_at(node, 2) is None:
            zero = np.zeros((), encoding.dtype.numpy)
            node.resize_inputs(max(len(node.inputs), 3))
            node.replace_input_with(2, self._real_constant(node, zero, encoding))

    def _cast(self, node: ir.Node, encoding: Encoding) -> None:
        wanted = ir.DataType(node.attributes.get_int("to", 0))
        if wanted == encoding.dtype.dtype:
            self._read_real(node, encoding, (0,))
            value = node.inputs[0]
            assert value is not None
            self.real[node.outputs[0]] = (value, encoding)
            return
        if wanted != ir.DataType.FLOAT:
            raise unknown_form(node, f"makes integers {str(wanted).lower()} to compute with them")
        value = node.inputs[0]
        assert value is not None
        real = self.real[value][0]
        scale, zero = broadcast(encoding, rank(real) or 0)
        node.replace_input_with(0, self._scaled(node, real, 1 / scale, zero, "codes"))
        node.op_type = "Identity"
        node.attributes.clear()

    def _scaled(
        self, node: ir.Node, real: ir.Value, factor: np.ndarray, summand: np.ndarray, what: str
    ) -> ir.Value:
        """`real * factor + summand`, in front of a node."""
        for op_type, array, nothing in (("Mul", factor, 1.0), ("Add", summand, 0.0)):
            if np.all(array == nothing):
                continue
            name = self._names.unique(f"{real.name}_{what}_{op_type}")
            number = np.asarray(array, np.float32)
            held = add_constant(self._model.graph, self._names.unique(f"{name}_by"), number)
            done = ir.node(op_type, [real, held], name=name)
            real = done.outputs[0]
            real.name, real.type = name, ir.TensorType(ir.DataType.FLOAT)
            self._model.graph.insert_before(node, done)
        return real


def _fits(small: QuantType, ends: Sequence[int], encoding: Encoding) -> bool:
    """Whether a type of fewer bits has all codes between two ends, and the zero point."""
    codes = (*ends, int(encoding.zero_point.min()), int(encoding.zero_point.max()))
    return small.qmin <= min(codes) and max(codes) <= small.qmax


def unknown_form(node: ir.Node, what: str) -> ModelError:
    """The refusal of a node whose integers have no real numbers that stand for them."""
    return ModelError(
        f"The {node.op_type} '{short_name(node)}' {what}; its float form is not known.",
        hint="Give a Q/DQ model with constant scales and integers of 4, 8 or 16 bits, or the "
        "float model.",
    )


def _article(node: ir.Node) -> str:
    return f"{'an' if node.op_type[0] in 'AEIOU' else 'a'} {node.op_type}"
