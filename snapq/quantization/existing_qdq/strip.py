"""Takes Q and DQ out of a model: what is left is its float form, and the encodings it had.

A model that was quantized elsewhere, or by an earlier stage, can so be changed as a float model is
changed, and quantized again with the same encodings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError
from snapq.graph.edit import Names, add_constant, input_at, remove_unused_constants
from snapq.graph.inference import infer_shapes
from snapq.graph.shapes import forget_shapes
from snapq.operators import Trait, having, quantized
from snapq.quantization.encodings import Encoding, QuantType, dequantize
from snapq.quantization.existing_qdq.qoperators import expand_qoperators
from snapq.quantization.existing_qdq.reading import constant_array, encoding_of
from snapq.quantization.granularity import PerBlock

__all__ = ["Stripped", "is_quantized", "strip"]

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_SUFFIXES = ("_quantized", "_dequantized", "_DequantizeLinear_Output", "_QuantizeLinear_Input")
"""What quantizers append to the name of a tensor."""
_SATURATED = (*having(Trait.SCALABLE), "Add", "Sub", "Mul", "Div")
"""Operators behind which a quantizer drops a Relu or Clip, as saturation does its work."""


@dataclass(frozen=True)
class Stripped:
    """A model without Q and DQ.

    Attributes:
        model: the float model; weights are what their integers stand for.
        encodings: encoding of each activation and weight that had one, by its float name. Biases
            are left out: theirs follow from data and weight.
        notes: sentences for the reader.
    """

    model: ir.Model
    encodings: dict[str, Encoding]
    notes: tuple[str, ...]


def is_quantized(model: ir.Model) -> bool:
    """Whether a model has Q, DQ or integer operators that stand for float ones."""
    return any(
        node.op_type in (_Q, _DQ) or node.op_type.startswith(("QLinear", "QGemm"))
        for node in model.graph
    )


def strip(model: ir.Model) -> Stripped:
    """Removes Q and DQ; `model` stays as it is.

    1. `x → Q → DQ → y` becomes `x`, which keeps the name of a graph output that `y` was.
    2. A constant that DQ reads becomes its real numbers.
    3. What saturation at zero did (a Relu or Clip that a quantizer dropped) is a Clip again.

    Raises:
        ModelError: an integer is read or given by something else than Q and DQ (the node is named).
    """
    return _Work(model.clone()).run()


class _Work:
    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._graph = model.graph
        self._held: dict[ir.Value, Encoding] = {}
        self._several: list[str] = []

    def run(self) -> Stripped:
        """Rewrites the graph."""
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(self._model)
        expand_qoperators(self._model)
        for node in tuple(self._graph):
            if node.op_type == _DQ:
                self._dequantize(node)
        for node in tuple(self._graph):
            if node.op_type == _Q:
                self._quantize(node)
        for node in tuple(self._graph):
            if node.op_type in (_Q, _DQ):
                self._pass_through(node)
        self._restore_clamps()
        remove_unused_constants(self._graph)
        self._name()
        forget_shapes(self._model)
        infer_shapes(self._model)
        notes = []
        if self._several:
            names = ", ".join(f"'{name}'" for name in self._several[:5])
            notes.append(
                f"{len(self._several)} tensors had several encodings ({names}); the first counts."
            )
        encodings = {
            str(value.name): encoding
            for value, encoding in self._held.items()
            if encoding.dtype is not QuantType.INT32
        }
        return Stripped(self._model, encodings, tuple(notes))

    def _dequantize(self, node: ir.Node) -> None:
        """Makes a constant real, notes the encoding of a weight; activations come later."""
        source = node.inputs[0]
        tensor = source.const_value if source is not None else None
        if source is None or tensor is None or source.is_graph_input():
            return
        encoding = encoding_of(node)
        block = node.attributes.get_int("block_size", 0)
        if encoding is None and not block:
            raise _integers(node, "has a scale that is computed")
        array = (
            _blocks(node, np.asarray(tensor.numpy()), block)
            if block or encoding is None
            else dequantize(np.asarray(tensor.numpy()), encoding)
        )
        name = Names(self._graph).fresh(_stem(str(source.name), Names(self._graph)))
        real = add_constant(self._graph, name, array)
        node.outputs[0].replace_all_uses_with(real)
        held = _block_encoding(node, block) if block else encoding
        if held is not None:
            self._held[real] = held
        self._graph.remove(node, safe=True)

    def _quantize(self, node: ir.Node) -> None:
        """Notes the encoding of what a Q takes."""
        value, encoding = node.inputs[0], encoding_of(node)
        if value is None or encoding is None:
            raise _integers(node, "has a scale that is computed")
        while (maker := value.producer()) is not None and maker.op_type in (_Q, _DQ):
            before = maker.inputs[0]
            if before is None:
                break
            value = before
        known = self._held.setdefault(value, encoding)
        if known != encoding:
            self._several.append(str(value.name))

    def _pass_through(self, node: ir.Node) -> None:
        """Lets what a Q or DQ takes stand for what it gives."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        if node.op_type == _DQ and QuantType.of(source.dtype) is not None:
            raise _integers(node, f"reads '{source.name}', which no QuantizeLinear gives")
        _become_real(source.dtype or ir.DataType.FLOAT, result)
        if result.is_graph_output():
            self._become_output(source, result)
        result.replace_all_uses_with(source)
        self._graph.remove(node, safe=True)

    def _become_output(self, source: ir.Value, result: ir.Value) -> None:
        name = str(result.name)
        result.name = None
        taken = source.is_graph_input() or source.is_graph_output() or source.is_initializer()
        if taken or source.producer() is None:
            again = ir.node("Identity", [source], outputs=[ir.Value(name=name)])
            self._graph.append(again)
            source = again.outputs[0]
        else:
            source.name = name
        source.type = ir.TensorType(ir.DataType.FLOAT)
        for position, output in enumerate(tuple(self._graph.outputs)):
            if output is result:
                self._graph.outputs[position] = source

    def _restore_clamps(self) -> None:
        """Puts a Clip where an encoding that starts at zero cut off what a node computes."""
        for value, encoding in tuple(self._held.items()):
            node = value.producer()
            if node is None or node.op_type not in _SATURATED or encoding.axis is not None:
                continue
            if int(encoding.zero_point) != encoding.dtype.qmin:
                continue
            self._clip(value, node, encoding)

    def _clip(self, value: ir.Value, node: ir.Node, encoding: Encoding) -> None:
        names, stem = Names(self._graph), str(value.name)
        free = names.fresh(f"{stem}_unclamped", also=("", "_low", "_high"))
        limits = []
        for end, limit in (("low", encoding.minimum), ("high", encoding.maximum)):
            array = np.asarray(limit, np.float32).reshape(())
            limits.append(add_constant(self._graph, f"{free}_{end}", array))
        clipped = ir.Value(name=f"{free}_clamp", shape=value.shape, type=value.type)
        clip = ir.node("Clip", [value, *limits], outputs=[clipped], name=f"{free}_Clip")
        value.replace_all_uses_with(clipped, replace_graph_outputs=True)
        clip.replace_input_with(0, value)
        self._graph.insert_after(node, clip)
        value.name, clipped.name = free, stem
        self._held[clipped] = self._held.pop(value)

    def _name(self) -> None:
        """Gives tensors back the names that they had before a quantizer renamed them."""
        names = Names(self._graph)
        for value in self._held:
            if value.is_graph_output() or value.is_graph_input() or value.is_initializer():
                continue
            stem = _stem(str(value.name), names)
            if stem != value.name:
                value.name = stem
                names.take(stem)
        kept = {str(v.name) for v in self._graph.initializers.values()}
        for value in tuple(self._held):
            if value.is_initializer() and str(value.name) not in kept:
                del self._held[value]


def _become_real(dtype: ir.DataType, value: ir.Value) -> None:
    """Lets what moves the integers of a Q move real numbers."""
    value.type = ir.TensorType(dtype)
    for user, index in value.uses():
        rule = quantized(user)
        moves = rule is not None and rule.follows
        if moves and (index == 0 or user.op_type == "Concat"):
            for output in user.outputs:
                _become_real(dtype, output)


def _blocks(node: ir.Node, integers: npt.NDArray[np.generic], size: int) -> npt.NDArray[np.float32]:
    """Real numbers of a constant with a scale for each block along an axis; DequantizeLinear-21."""
    scale, zero = constant_array(node.inputs[1]), constant_array(input_at(node, 2))
    if scale is None:
        raise _integers(node, "has a scale that is computed")
    axis = node.attributes.get_int("axis", 1) % integers.ndim

    def spread(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        repeated = np.repeat(values.astype(np.float64), size, axis)
        return np.take(repeated, range(integers.shape[axis]), axis)

    shifted = integers.astype(np.float64) - (spread(zero) if zero is not None else 0.0)
    return (shifted * spread(scale)).astype(np.float32)


def _block_encoding(node: ir.Node, size: int) -> Encoding | None:
    """The encoding of a constant with a scale for each block; None where its type is no integer."""
    source, scale = node.inputs[0], constant_array(node.inputs[1])
    dtype = QuantType.of(source.dtype) if source is not None else None
    if source is None or source.shape is None or scale is None or dtype is None:
        return None
    zero = constant_array(input_at(node, 2))
    if zero is None:
        zero = np.zeros(scale.shape, dtype.numpy)
    axis = node.attributes.get_int("axis", 1) % source.shape.rank()
    return Encoding(dtype, np.asarray(scale, np.float32), zero, PerBlock(axis, size))


def _stem(name: str, names: Names) -> str:
    """The name without what a quantizer appended, where that is free."""
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return names.fresh(name.removesuffix(suffix))
    return name


def _integers(node: ir.Node, what: str) -> ModelError:
    return ModelError(
        f"The {node.op_type} '{node.name}' {what}; its float form is not known.",
        where=str(node.name),
        hint="Give a Q/DQ model with float inputs and constant scales, or the float model.",
    )
