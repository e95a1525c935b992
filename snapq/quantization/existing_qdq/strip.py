"""Takes Q and DQ out of a model: what is left is its float form, and the encodings it had.

A model that was quantized elsewhere, or by an earlier stage, can so be changed as a float model is
changed, and quantized again with the same encodings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError
from snapq.graph.code_boundary import real_numbers_at_the_boundary
from snapq.graph.completion import way_out
from snapq.graph.edit import (
    Names,
    add_constant,
    constant,
    input_at,
    remove_dead_nodes,
    remove_unused_constants,
    short_name,
    subgraphs,
)
from snapq.graph.float32 import float32_at_the_boundary
from snapq.graph.folding import fold_constants
from snapq.graph.inference import infer_shapes
from snapq.graph.qoperators import expand_qoperators
from snapq.graph.shapes import forget_shapes, quiet
from snapq.operators import Role, Trait, having, spec_of
from snapq.quantization.encodings import Encoding, QuantType, dequantize
from snapq.quantization.existing_qdq.integers import FILLS_WITH_ZERO, Integers, unknown_form
from snapq.quantization.existing_qdq.pairs import Pairs, alike, clip_node
from snapq.quantization.existing_qdq.reading import constant_array, encoding_of, unreadable
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
    """Whether a model has Q, DQ or integer operators that stand for float ones.

    In any of its graphs: exporters leave some in a branch that is always taken, or in a function.
    """
    return any(
        node.op_type in (_Q, _DQ) or node.op_type.startswith(("QLinear", "QGemm"))
        for graph in (*model.graphs(), *model.functions.values())
        for node in graph
    )


def strip(model: ir.Model) -> Stripped:
    """Removes Q and DQ; `model` stays as it is.

    1. Functions are inlined, floats are 32-bit, and what follows from constants is constant.
    2. `x → Q → DQ → y` becomes `x`, which keeps the name of a graph output that `y` was.
    3. A constant that DQ reads, or looks up rows of, becomes its real numbers.
    4. Of several encodings that a tensor has, it gets the one that holds all; a Clip stands for
       what a narrower one saturates. Where others read it in float, it gets none, and a Clip
       stands for what each saturates.
    5. What is computed on the integers between Q and DQ is computed on their real numbers.
    6. What saturation at zero did (a Relu or Clip that a quantizer dropped) is a Clip again.

    Raises:
        ModelError: a Q or DQ has a scale that is computed or is no scale, its integers are not the
            NPU's, or a node computes on integers what has no float form (the node is named).
    """
    return _Work(model.clone()).run()


def _move_behind(node: ir.Node, names: Names) -> None:
    """Takes what a DQ gives of a constant that was moved as integers from the real constant.

    Rows that are looked up and turned or cut then, as `quantize_dynamic` writes an embedding.
    """
    graph, scale = node.graph, constant(input_at(node, 1))
    source = node.inputs[0]
    moves: list[ir.Node] = []
    while source is not None and source.const_value is None:
        maker = source.producer()
        if maker is None or not _moves_one(maker):
            return
        moves.append(maker)
        source = maker.inputs[0]
    if not moves or graph is None or source is None or source.is_graph_input():
        return
    if scale is None or scale.size != 1:
        return
    table = ir.node(
        _DQ,
        [source, *node.inputs[1:]],
        attributes=node.attributes,
        name=names.fresh_node(f"{node.name}_table"),
    )
    real = table.outputs[0]
    real.name, real.shape = names.fresh_value(f"{source.name}_dequantized"), source.shape
    real.type = node.outputs[0].type
    graph.insert_before(moves[-1], table)
    for move in reversed(moves):
        made = ir.node(
            move.op_type,
            [real, *move.inputs[1:]],
            attributes=move.attributes,
            name=names.fresh_node(f"{move.name}_real"),
        )
        graph.insert_before(node, made)
        real = made.outputs[0]
        real.name = names.fresh_value(f"{move.outputs[0].name}_real")
        real.shape, real.type = move.outputs[0].shape, node.outputs[0].type
    name = node.outputs[0].name
    node.outputs[0].replace_all_uses_with(real, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    real.name = name


def _moves_one(node: ir.Node) -> bool:
    """Whether a node gives elements of its first input as they are, and of no other."""
    data = [i for i in range(len(node.inputs)) if spec_of(node).role(i) is Role.DATA]
    one = data in ([], [0]) and len(node.outputs) == 1 and node.op_type != "Pad"
    return one and spec_of(node).has(Trait.MOVES) and node.op_type not in FILLS_WITH_ZERO


class _Work:
    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._graph = model.graph
        self._notes: list[str] = []

    def run(self) -> Stripped:
        """Rewrites the graph."""
        self._simplify()
        self._names = Names(self._graph)
        self._pairs = Pairs(self._model, self._names)
        self._held = self._pairs.held
        self._integers = Integers(self._model, self._names, self._held.__setitem__)
        types = {value.name: value.dtype for value in self._graph.outputs}
        self._in_float = {
            value for node in self._graph if node.op_type == _Q for value in _read_in_float(node)
        }
        for node in tuple(self._graph):
            if node.op_type == _Q:
                self._quantize(node)
            elif node.op_type == _DQ:
                self._dequantize(node)
            elif self._integers.reads(node):
                self._integers.make_real(node)
        self._release_integers()
        self._restore_clamps()
        remove_unused_constants(self._graph)
        self._name()
        forget_shapes(self._model)
        infer_shapes(self._model)
        for value in self._graph.outputs:
            if value.dtype != types[value.name]:
                text = f"The output '{value.name}' was integers; it gives real numbers now."
                self._notes.append(text)
        if self._pairs.several:
            names = ", ".join(f"'{name}'" for name in self._pairs.several[:5])
            self._notes.append(
                f"{len(self._pairs.several)} tensors have several encodings ({names}); each gets "
                "the one that holds all of them."
            )
        encodings = {
            str(value.name): encoding
            for value, encoding in self._held.items()
            if encoding.dtype is not QuantType.INT32
        }
        return Stripped(self._model, encodings, tuple(self._notes))

    def _simplify(self) -> None:
        """Brings the graph into the one form in which Q and DQ are looked for."""
        if self._model.functions:
            with quiet("onnx_ir"):
                common.InlinePass()(self._model)
        common.RemoveInitializersFromInputsPass()(self._model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(self._model)
        self._notes.extend(float32_at_the_boundary(self._model)[1])
        infer_shapes(self._model)
        while fold_constants(self._model):
            remove_dead_nodes(self._graph)
            infer_shapes(self._model)
        self._notes.extend(real_numbers_at_the_boundary(self._model))
        expand_qoperators(self._model)
        names = Names(self._graph)
        for node in tuple(self._graph):
            if node.op_type == _DQ:
                _move_behind(node, names)
        remove_dead_nodes(self._graph)
        for owner in self._graph:
            for graph in subgraphs(owner):
                inner = next((n for n in graph.all_nodes() if n.op_type in (_Q, _DQ)), None)
                if inner is not None:
                    raise _inside(owner, inner, self._graph)

    def _quantize(self, node: ir.Node) -> None:
        """Notes the encoding of what a Q takes."""
        value, encoding = node.inputs[0], _readable(node)
        assert value is not None
        if value in self._integers.real or value.dtype not in (None, ir.DataType.FLOAT):
            raise unknown_form(node, f"takes the integers '{value.name}'")
        if value in self._in_float:
            self._integers.real[node.outputs[0]] = (self._pairs.beside(value, encoding), encoding)
            return
        readers = (user for user, index in value.uses() if user.op_type == _Q and index == 0)
        others = [_readable(reader) for reader in readers if reader.graph is self._graph]
        through = self._pairs.through(value, encoding, others)
        self._integers.real[node.outputs[0]] = (through, encoding)

    def _dequantize(self, node: ir.Node) -> None:
        """Lets real numbers stand for what a DQ gives."""
        source, result = node.inputs[0], node.outputs[0]
        assert source is not None
        if source.const_value is not None and not source.is_graph_input():
            self._dequantize_constant(node, source.const_value)
            return
        if source not in self._integers.real:
            raise unknown_form(node, f"reads '{source.name}', which no QuantizeLinear gives")
        (real, held), read = self._integers.real[source], _readable(node)
        if not alike(held, read):
            real = self._integers.rescaled(node, real, held, read)
            self._held[real] = read
        self._stand_in(real, result)
        self._graph.remove(node, safe=True)

    def _dequantize_constant(self, node: ir.Node, tensor: ir.TensorProtocol) -> None:
        """Makes a constant real, and notes the encoding of a weight."""
        source = node.inputs[0]
        assert source is not None
        block = node.attributes.get_int("block_size", 0)
        encoding = None if block else _readable(node)
        array = (
            _blocks(node, np.asarray(tensor.numpy()), block)
            if encoding is None
            else dequantize(np.asarray(tensor.numpy()), encoding)
        )
        name = self._names.fresh_value(_stem(str(source.name), self._names))
        real = add_constant(self._graph, name, array)
        if encoding is not None and not encoding.scale.all():
            self._notes.append(f"The scale of '{source.name}' is 0 in places: all is 0 there.")
        held = _block_encoding(node, block) if encoding is None else _above_zero(encoding)
        if held is not None:
            self._held[real] = held
        self._stand_in(real, node.outputs[0])
        self._graph.remove(node, safe=True)

    def _release_integers(self) -> None:
        """Removes the Q nodes; an output of the graph that was integers becomes real numbers."""
        for integers, (real, _) in self._integers.real.items():
            if integers.uses():
                user = next(iter(integers.uses()))[0]
                raise unknown_form(user, f"reads the integers '{integers.name}'")
            maker = integers.producer()
            if maker is None:
                continue
            if integers.is_graph_output():
                self._stand_in(real, integers)
            self._graph.remove(maker, safe=True)

    def _stand_in(self, source: ir.Value, result: ir.Value) -> None:
        """Lets a real tensor stand for a value, also where that is an output of the graph."""
        if result.is_graph_output():
            self._become_output(source, result)
        result.replace_all_uses_with(source)

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
            if node is None or node.op_type not in _SATURATED:
                continue
            if (encoding.zero_point.astype(np.int64) != encoding.dtype.qmin).any():
                continue
            self._clip(value, node, encoding)

    def _clip(self, value: ir.Value, node: ir.Node, encoding: Encoding) -> None:
        names, stem = Names(self._graph), str(value.name)
        free = names.fresh(f"{stem}_unclamped", also=("", "_low", "_high"))
        clipped = ir.Value(name=f"{free}_clamp", shape=value.shape, type=value.type)
        if encoding.axis is None:
            clip = clip_node(self._model, value, clipped, encoding, f"{free}_Clip", free)
        else:  # the highest number is another one in each channel
            clip = ir.node("Relu", [value], outputs=[clipped], name=f"{free}_Relu")
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
            if value.const_value is not None and str(value.name) not in kept:
                del self._held[value]


def _inside(owner: ir.Node, node: ir.Node, graph: ir.Graph) -> ModelError:
    """The refusal of Q and DQ in a branch or loop that stays."""
    where = f"the {owner.op_type} '{short_name(owner)}'"
    way = way_out(graph, owner)
    return ModelError(
        f"The {node.op_type} '{short_name(node)}' is inside {where}, which stays until it runs.",
        hint=f"{way[0].upper()}{way[1:]}",
    )


def _read_in_float(node: ir.Node) -> tuple[ir.Value, ...]:
    """What a Q takes, where others read it without a Q and see what that would saturate."""
    value = node.inputs[0]
    if value is None or value.const_value is not None:
        return ()
    producer = value.producer()
    if producer is not None and producer.op_type == _DQ:
        return ()
    others = (user for user, _ in value.uses() if user.op_type not in (_Q, "Shape", "Size"))
    return (value,) if value.is_graph_output() or any(others) else ()


def _readable(node: ir.Node) -> Encoding:
    """The encoding of a Q or DQ node; refuses what is none."""
    why, encoding = unreadable(node), encoding_of(node)
    if why is not None:
        raise unknown_form(node, why)
    if encoding is None:
        raise unknown_form(node, "has a scale for each block of what is computed")
    return encoding


def _above_zero(encoding: Encoding) -> Encoding:
    """The encoding of a constant without scales of 0, under which channels of zeros are stored."""
    zeros = encoding.scale == 0
    if not zeros.any():
        return encoding
    usual = np.median(encoding.scale[~zeros]) if not zeros.all() else 1.0
    return replace(encoding, scale=np.where(zeros, usual, encoding.scale).astype(np.float32))


def _blocks(node: ir.Node, integers: npt.NDArray[np.generic], size: int) -> npt.NDArray[np.float32]:
    """Real numbers of a constant with a scale for each block along an axis; DequantizeLinear-21."""
    scale, zero = constant_array(node.inputs[1]), constant_array(input_at(node, 2))
    if scale is None:
        raise unknown_form(node, "has a scale that is computed")
    axis = node.attributes.get_int("axis", 1) % integers.ndim
    wanted = tuple(-(-n // size) if i == axis else n for i, n in enumerate(integers.shape))
    if scale.shape != wanted:
        held, blocks = list(scale.shape), f"blocks of {size} along axis {axis}"
        what = f"has scales {held}, and {blocks} of {list(integers.shape)} have {list(wanted)}"
        raise unknown_form(node, what)

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
