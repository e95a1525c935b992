"""The model in front of named tensors, and the tail behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.cpu import CpuModel
from snapq.errors import ModelError, did_you_mean
from snapq.graph import cost, foreign, io
from snapq.graph.code_boundary import real_numbers_at_the_boundary
from snapq.graph.completion import record_shapes
from snapq.graph.cutting.front import begin_at
from snapq.graph.cutting.values import dependents, named_tensors, read_values, reroute
from snapq.graph.edit import (
    constant,
    is_op,
    is_used,
    new_constant,
    remove_dead_nodes,
    remove_unused_constants,
    subgraphs,
)
from snapq.graph.float32 import convert_to_float32, one_kind_of_float
from snapq.graph.random_draws import draw_once
from snapq.graph.shapes import (
    InputShapes,
    TensorSpec,
    forget_shapes,
    graph_inputs,
    specs_of,
    static_shape,
)

__all__ = ["Cut", "cut", "open_cut", "open_given"]

_SHORT_FLOATS = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_TOLD = 0.01
"""Share of the multiply-accumulates from which it is told that the tail computes them anew."""


@dataclass(frozen=True)
class Cut:
    """A model with fixed shapes, cut where that was asked for.

    Attributes:
        model: what goes to the NPU; its outputs are the named tensors, in that order.
        tail: what the CPU runs behind it: takes named tensors and, where it reads them, inputs of
            the model, and gives the model's outputs. None where nothing is left to compute.
        outputs: the model's own outputs that model and tail give together, in the model's order.
        notes: sentences for the reader.
    """

    model: ir.Model
    tail: ir.Model | None
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def tail_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the model that the tail takes and the part in front does not.

        Raises:
            ModelError: one is not a tensor of numbers.
        """
        if self.tail is None:
            return ()
        known = {value.name for value in (*self.model.graph.inputs, *self.model.graph.outputs)}
        return specs_of([value for value in self.tail.graph.inputs if value.name not in known])


def open_cut(
    path: Path, inputs: InputShapes, outputs: Sequence[str] = (), given: ir.Model | None = None
) -> Cut:
    """Loads a model, fixes its shapes, and cuts it.

    Args:
        path: the ONNX file.
        inputs: shapes or numbers by name; inner tensors among them are where the model begins.
        outputs: tensors at which it ends; its own outputs where none are named.
        given: the model of the file, where it is loaded already; left as it is.

    Raises:
        ModelError: as `io.load`, `begin_at`, `freeze` and `cut`.
    """
    begun = begin_at(given if given is not None else io.load(path), inputs)
    found = cut(foreign.freeze(begun, inputs, path), outputs)
    # So that samples and the CPU have one kind of float, as the prepared model has.
    return replace(found, notes=(*found.notes, *one_kind_of_float(found.model)))


def open_given(
    path: Path, inputs: InputShapes, outputs: Sequence[str] = (), given: ir.Model | None = None
) -> Cut:
    """As `open_cut`, of a model to work on.

    Inputs and outputs that are codes are real numbers, and random numbers are drawn once.
    """
    found = open_cut(path, inputs, outputs, given)
    notes = (*real_numbers_at_the_boundary(found.model), *draw_once(found.model))
    return replace(found, notes=(*found.notes, *notes))


def cut(model: ir.Model, outputs: Sequence[str]) -> Cut:
    """Cuts a model at named tensors.

    1. The part in front has the named tensors as outputs, and only what they need.
    2. The tail computes every output of the model that lies behind a named tensor. What it reads
       of the part in front beside the named tensors it computes anew from the model's inputs; a
       note tells where that is much.
    3. A named tensor that is an output of the model is given by the part in front.
    4. An output that does not depend on a named tensor is left out, with a note; constants stay.
    5. The tail has no fixed shapes: whatever ONNX Runtime's CPU can run may be in it. Floats of 16
       bits are floats of 32 there, as they are in the part in front once it is prepared.

    Args:
        model: shapes fixed; left as it is, and the model of the result where no cut is asked for.
        outputs: names of tensors of the main graph; none for the model as it is.

    Raises:
        ModelError: there is no such tensor, it is an input or a constant, or holds no numbers.
    """
    own = tuple(str(value.name) for value in model.graph.outputs)
    named = tuple(dict.fromkeys(outputs))
    if not named or named == own:
        return Cut(model, None, own)
    _check_names(model, named)
    front = _front(model, named)
    tail, given, left_out = _tail(model, front, named)
    notes = []
    if left_out:
        notes.append(
            f"Left out, as the cut does not lead there: {', '.join(left_out)}. Name them, or "
            "tensors in front of them, in model.outputs to keep them."
        )
    if tail is not None:
        notes += _computed_anew(model, front, tail)
        if any(value.dtype in _SHORT_FLOATS for value in tail.graph.inputs):
            convert_to_float32(tail)
    return Cut(front, tail, given, tuple(notes))


def _check_names(model: ir.Model, named: Sequence[str]) -> None:
    tensors = named_tensors(model)
    inputs = {str(value.name) for value in model.graph.inputs}
    for name in named:
        value = tensors.get(name)
        if value is None:
            raise _no_tensor(model, name, inputs, list(tensors))
        maker = value.producer()
        if constant(value) is not None:
            raise ModelError(
                f"'{name}' is a constant.", where="model.outputs", hint="Leave it out."
            )
        if maker is not None and maker.op_type.startswith(("QuantizeLinear", "QLinear")):
            raise ModelError(
                f"'{name}' holds the codes of a quantized tensor, which mean nothing without their "
                "scale.",
                where="model.outputs",
                hint=f"Cut behind its DequantizeLinear{_dequantized(value)}.",
            )
        if isinstance(value.type, ir.SequenceType | ir.OptionalType) or (
            value.dtype == ir.DataType.STRING
        ):
            raise ModelError(
                f"'{name}' is of type {value.type}; a model is cut at tensors of numbers.",
                where="model.outputs",
                hint="Cut in front of the node that makes it.",
            )


def _dequantized(value: ir.Value) -> str:
    users = (node for node, _ in value.uses() if node.op_type == "DequantizeLinear")
    found = next(users, None)
    return f": '{found.outputs[0].name}'" if found is not None else ""


def _no_tensor(model: ir.Model, name: str, inputs: set[str], tensors: Sequence[str]) -> ModelError:
    where = "model.outputs"
    if name in inputs:
        hint = "The tail takes inputs of the model by itself; leave it out."
        return ModelError(f"'{name}' is an input of the model.", where=where, hint=hint)
    if name in model.graph.initializers:
        return ModelError(f"'{name}' is a constant.", where=where, hint="Leave it out.")
    for node in model.graph:
        inner = (one for graph in subgraphs(node) for one in graph.all_nodes())
        if any(value.name == name for one in inner for value in one.outputs):
            made = ", ".join(f"'{out.name}'" for out in node.outputs)
            return ModelError(
                f"'{name}' is inside {node.op_type} '{node.name}'.",
                where=where,
                hint=f"Cut at what that node makes: {made}.",
            )
    otherwise = "Its tensors are shown by a viewer such as Netron; `snapq inspect` proposes a cut."
    return ModelError(
        f"The model has no tensor '{name}'.",
        where=where,
        hint=did_you_mean(name, tensors, otherwise),
    )


def _front(model: ir.Model, named: Sequence[str]) -> ir.Model:
    front = model.clone()
    tensors = named_tensors(front)
    front.graph.outputs.clear()
    front.graph.outputs.extend(tensors[name] for name in named)
    _drop_unused(front)
    _fill_types(front)
    return front


def _drop_unused(model: ir.Model) -> None:
    """Removes nodes, inputs, constants and functions without use."""
    remove_dead_nodes(model.graph)
    for value in tuple(graph_inputs(model)):
        if not is_used(value):
            model.graph.inputs.remove(value)
    remove_unused_constants(model.graph)
    common.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]


def _fill_types(front: ir.Model) -> None:
    """Asks ONNX Runtime for the types of outputs that shape inference does not know."""
    unknown = [value for value in front.graph.outputs if value.dtype is None]
    if not unknown:
        return
    session = CpuModel(front, optimize=False).session
    types = {item.name: item.type for item in session.get_outputs()}
    for value in unknown:
        kind = types[str(value.name)].removeprefix("tensor(").removesuffix(")").upper()
        if kind not in ir.DataType.__members__:
            raise ModelError(
                f"'{value.name}' is a {types[str(value.name)]}; a model is cut at tensors of "
                "numbers.",
                where="model.outputs",
            )
        value.type = ir.TensorType(ir.DataType[kind])


def _tail(
    model: ir.Model, front: ir.Model, named: Sequence[str]
) -> tuple[ir.Model | None, tuple[str, ...], tuple[str, ...]]:
    """The tail; names of the outputs that there are with it, and of those that there are not."""
    tail = model.clone()
    _fix_asked_shapes(tail)
    tensors = named_tensors(tail)
    made = {str(value.name): value for value in front.graph.outputs}
    behind = dependents(tail.graph, [tensors[name] for name in named])
    varying = dependents(tail.graph, graph_inputs(tail))
    given = [
        value
        for value in tail.graph.outputs
        if value in behind or (value not in varying and not value.is_graph_input())
    ]
    left_out = tuple(str(value.name) for value in tail.graph.outputs if value not in given)
    names = tuple(str(value.name) for value in given)
    computed = [value for value in given if value.name not in named]
    tail.graph.outputs.clear()
    tail.graph.outputs.extend(computed)
    if not any(value in behind for value in computed):
        return None, tuple(name for name in names if name in named), left_out
    forget_shapes(tail)
    for name in named:
        new = ir.Value(name=name, shape=made[name].shape, type=made[name].type)
        reroute(tail.graph, tensors[name], new)
        tail.graph.inputs.append(new)
    _drop_unused(tail)
    return tail, names, left_out


def _fix_asked_shapes(tail: ir.Model) -> None:
    """Answers Shape and Size where the answer is known: a tail needs no tensor for its shape."""
    with suppress(ModelError):  # what does not run on zeros may run on samples
        record_shapes(tail)
    for node in tuple(tail.graph):
        shape = static_shape(node.inputs[0]) if is_op(node, "Shape", "Size") else None
        if shape is None or node.outputs[0].is_graph_output():
            continue
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(shape))
        answer = shape[start:end] if node.op_type == "Shape" else math.prod(shape)
        fixed = new_constant(
            tail.graph, f"{node.outputs[0].name}_known", np.array(answer, np.int64)
        )
        node.outputs[0].replace_all_uses_with(fixed)


def _computed_anew(model: ir.Model, front: ir.Model, tail: ir.Model) -> Iterator[str]:
    """Tells where the tail computes much of what the part in front computes too."""
    made = {str(out.name) for node in front.graph for out in node.outputs}
    twice = [node for node in tail.graph if any(str(o.name) in made for o in node.outputs)]
    if not twice:
        return
    again = set(twice)
    outputs = {out for node in twice for out in node.outputs}
    costs = {node.output: node.macs for node in cost.node_costs(model)}
    total = sum(costs.values())
    macs = sum(costs.get(str(node.outputs[0].name), 0) for node in twice)
    if macs <= _TOLD * total:
        return
    edges = dict.fromkeys(
        str(value.name)
        for node in tail.graph
        if node not in again
        for value in read_values(node)
        if value in outputs
    )
    listed = ", ".join(tuple(edges)[:4]) + (", …" if len(edges) > 4 else "")
    yield (
        f"The tail computes {macs / total:.0%} of the model's multiply-accumulates anew on the "
        f"CPU, as it reads {listed}: name these in model.outputs too."
    )
