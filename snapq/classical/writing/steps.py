"""Steps that have the name of an operator, and a few that become several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from snapq.classical.program import Step, known_operations
from snapq.classical.reading.registry import has_reader
from snapq.classical.writing.trees import Trees, write_trees
from snapq.classical.writing.writer import ML_DOMAIN, Writer, writes
from snapq.errors import ModelError

_FLOAT, _INT32, _BOOL, _FLOAT64 = 1, 6, 9, 11
_EXACT = 1 << 24
"""Integers up to here are float32 values."""
_PLAIN = tuple(op for op in known_operations() if op[0].isupper() and not has_reader(op))
_ML = tuple(op for op in known_operations() if op[0].isupper() and has_reader(op))


def names(writer: Writer, step: Step) -> tuple[list[str], list[str]]:
    """The names of a step's inputs and outputs in the model."""
    inputs = [writer.name(name) for name in step.inputs]
    return inputs, [writer.name(name) for name in step.outputs]


@writes(*_PLAIN)
def write_plain(writer: Writer, step: Step) -> None:
    """Writes an operator of ONNX as it is."""
    inputs, outputs = names(writer, step)
    attributes = dict(step.attributes)
    if step.op == "Split" and len(step.inputs) == 1:
        attributes["num_outputs"] = len(outputs)
    if step.op == "ConstantOfShape" and "value" in step.arrays:
        attributes["value"] = numpy_helper.from_array(step.arrays["value"])
    writer.add(step.op, *inputs, outputs=outputs, **attributes)


@writes("Constant")
def write_constant(writer: Writer, step: Step) -> None:
    """Writes a constant as one of the graph."""
    writer.constant(step.arrays["value"], writer.name(step.outputs[0]))


@writes(*_ML)
def write_ml(writer: Writer, step: Step) -> None:
    """Writes an operator of ai.onnx.ml; its arrays become attributes."""
    inputs, outputs = names(writer, step)
    attributes = {**step.attributes, **_ATTRIBUTES.get(step.op, _no_arrays)(step.arrays)}
    writer.add(step.op, *inputs, outputs=outputs, domain=ML_DOMAIN, **attributes)


def _no_arrays(_: dict[str, NDArray[Any]]) -> dict[str, Any]:
    return {}


def _imputer(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    missing, values = arrays["replaced_value"], arrays["imputed_values"].tolist()
    if missing.dtype.kind == "f":
        return {"replaced_value_float": float(missing[0]), "imputed_value_floats": values}
    return {"replaced_value_int64": int(missing[0]), "imputed_value_int64s": values}


def _label_encoder(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side in ("keys", "values"):
        suffix, values = _listed(arrays[side])
        found[f"{side}_{suffix}"] = values
    suffix, default = _listed(arrays["default"])
    found[f"default_{suffix[:-1]}"] = default[0]
    return found


def _listed(array: NDArray[Any]) -> tuple[str, list[Any]]:
    """How an attribute that holds such values ends, and the values."""
    if array.dtype.kind == "U":
        return "strings", [str(text) for text in array]
    if array.dtype.kind == "f":
        return "floats", array.astype(np.float32).tolist()
    return "int64s", array.astype(np.int64).tolist()


def _one_hot(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    return {"cats_int64s": arrays["categories"].tolist()}


def _scaler(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: arrays[name].tolist() for name in ("offset", "scale")}


_ATTRIBUTES: dict[str, Callable[[dict[str, NDArray[Any]]], dict[str, Any]]] = {
    "Imputer": _imputer,
    "LabelEncoder": _label_encoder,
    "OneHotEncoder": _one_hot,
    "Scaler": _scaler,
}


@writes("tree_leaves")
def write_leaves(writer: Writer, step: Step) -> None:
    """Writes a TreeEnsemble with one target a tree, whose leaves weigh their own index."""
    inputs, outputs = names(writer, step)
    trees = Trees(step.arrays)
    count = len(step.arrays["condition"])
    if count > _EXACT:
        raise ModelError(f"{count:,} nodes have no number that a float32 holds.")
    weights = np.stack([trees.tree_of, np.arange(count)], 1).astype(np.float64)
    found = write_trees(writer, trees, inputs[0], weights, len(step.arrays["roots"]))
    writer.add("Cast", found, outputs=outputs, to=_INT32)


@writes("tree_sums", "tree_scored")
def write_sums(writer: Writer, step: Step) -> None:
    """Writes entries of a table that are taken and combined."""
    inputs, outputs = names(writer, step)
    axis = writer.constant(np.array([1], np.int64))
    if step.op == "tree_scored":
        table = writer.constant(step.arrays["scored"].astype(np.int32))
        taken = writer.add("Gather", table, inputs[0], axis=0)
        most = writer.add("ReduceMax", taken, axis, keepdims=0)
        writer.add("Cast", most, outputs=outputs, to=_BOOL)
        return
    taken = writer.add("Gather", writer.constant(step.arrays["values"]), inputs[0], axis=0)
    reduce = {"sum": "ReduceSum", "min": "ReduceMin", "max": "ReduceMax"}
    op = reduce[step.attributes["aggregate"]]
    writer.add(op, taken, axis, outputs=outputs, keepdims=0)


@writes("round_to_float32")
def write_rounding(writer: Writer, step: Step) -> None:
    """Writes a conversion to float32, then a step to the next value where it went the wrong way.

    Adding 0.6 units in the last place, in float64, and rounding again gives the neighbour.
    """
    inputs, outputs = names(writer, step)
    up = bool(step.attributes["up"])
    nearest = writer.add("Cast", inputs[0], to=_FLOAT)
    wide = writer.add("Cast", nearest, to=_FLOAT64)
    wrong = writer.add("Less" if up else "Greater", wide, inputs[0])
    unit = writer.add("Mul", writer.add("Abs", wide), writer.constant(np.float64(0.6 * 2.0**-23)))
    unit = writer.add("Max", unit, writer.constant(np.float64(0.6 * 2.0**-149)))
    beside = writer.add("Cast", writer.add("Add" if up else "Sub", wide, unit), to=_FLOAT)
    writer.add("Where", wrong, beside, nearest, outputs=outputs)
