"""Operators of ONNX that converters write around estimators, in the form of opset 18."""

from __future__ import annotations

from typing import Any

import numpy as np

from snapq.classical.program.registry import known_operations
from snapq.classical.reading.graph import Node
from snapq.classical.reading.reader import Reader
from snapq.classical.reading.registry import reads

_AS_THEY_ARE = tuple(name for name in known_operations() if name[0].isupper())
"""All steps that are named like operators; those of ai.onnx.ml have readers of their own."""

_ONCE_ATTRIBUTES = {
    "Squeeze": ("axes",),
    "Unsqueeze": ("axes",),
    "Split": ("split",),
    "Slice": ("starts", "ends", "axes"),
    "TopK": ("k",),
    "Reshape": ("shape",),
    "Clip": ("min", "max"),
}
"""Inputs that were attributes in older opsets, in the order in which they follow the first."""


@reads(*_AS_THEY_ARE, domain="")
def read_plain(reader: Reader, node: Node) -> None:
    """Reads an operator that a step has the name of."""
    if node.op in ("Softmax", "LogSoftmax") and node.version < 13:
        _check_old_softmax(reader, node)
    if node.version < 7 and node.attributes.get("broadcast"):
        raise node.error("it is of an opset below 7, which is not covered")
    inputs = [reader.value(node, index) for index in range(len(node.inputs))]
    attributes = dict(node.attributes)
    before = _ONCE_ATTRIBUTES.get(node.op, ("axes",) if node.op.startswith("Reduce") else ())
    if len(inputs) == 1 and any(name in attributes for name in before):
        inputs += [_as_input(reader, node, attributes.pop(name, None)) for name in before]
        while inputs[-1] is None:
            inputs.pop()
    arrays = {}
    if node.op == "ConstantOfShape" and "value" in attributes:
        arrays["value"] = attributes.pop("value")
    attributes = {name: _as_json(node, name, value) for name, value in attributes.items()}
    if node.op == "Cast":
        _check_cast(reader, node)
    if node.op == "Split":
        attributes.pop("num_outputs", None)
    reader.add(node.op, *inputs, attributes=attributes, arrays=arrays, outputs=node.outputs)


def _as_input(reader: Reader, node: Node, value: Any) -> str | None:
    """A former attribute as a constant."""
    if value is None:
        return None
    if node.op == "Clip":
        return reader.constant(reader.samples[node.inputs[0]].dtype.type(value))
    return reader.constant(np.asarray(value, np.int64).reshape(-1))


def _as_json(node: Node, name: str, value: Any) -> Any:
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, list):
        return value
    raise node.error(f"its attribute '{name}' is not covered")


def _check_cast(reader: Reader, node: Node) -> None:
    from_text = reader.samples[reader.wanted(node)].dtype.kind == "U"
    if node.attributes.get("to") == 8 or from_text:
        raise node.error(
            "conversions to and from text are not covered",
            hint="Train the model with labels that are numbers, or leave them text throughout.",
        )


def _check_old_softmax(reader: Reader, node: Node) -> None:
    """Before opset 13 the axis and all behind it were one: the same for the last axis only."""
    last = reader.samples[reader.wanted(node)].ndim - 1
    if node.attributes.get("axis", 1) not in (last, -1):
        raise node.error("its axis is not the last one, which opsets below 13 take otherwise")
    node.attributes["axis"] = -1


@reads("Constant", domain="")
def read_constant(reader: Reader, node: Node) -> None:
    """Reads a constant, whatever attribute holds it."""
    for name, kind in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_string", np.str_),
        ("value_strings", np.str_),
    ):
        if name in node.attributes:
            reader.constant(np.asarray(node.attributes[name], kind), node.outputs[0])
            return
    raise node.error("it holds no value that is covered")


@reads("Dropout", domain="")
def read_dropout(reader: Reader, node: Node) -> None:
    """Reads what does nothing after training."""
    reader.add("Identity", reader.wanted(node), outputs=node.outputs[:1])


@reads("SequenceConstruct", domain="")
def read_sequence(reader: Reader, node: Node) -> None:
    """Makes a list of tensors several outputs, where it is an output of the model."""
    name = node.outputs[0]
    if name not in reader.outputs:
        raise node.error("lists of tensors are covered as outputs of the model only")
    parts = [
        reader.add(
            "Identity", reader.wanted(node, index), outputs=[reader.fresh(f"{name}_{index}")]
        )
        for index in range(len(node.inputs))
    ]
    at = reader.outputs.index(name)
    reader.outputs[at : at + 1] = parts
    reader.notes.append(f"'{name}' is a list of tensors: it became {', '.join(parts)}.")
