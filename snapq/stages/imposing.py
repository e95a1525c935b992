"""What stages share that impose encodings: files of them, shared weights, their transfer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from snapq.config import DataSource, Override
from snapq.errors import StorageError
from snapq.evaluation.datasets import open_dataset
from snapq.graph import boundary, io
from snapq.graph.boundary import Boundary
from snapq.graph.shapes import input_specs
from snapq.precision import ActivationType, WeightType
from snapq.progress import Advance
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.exchange.files import read
from snapq.quantization.existing_qdq.imposed import Conditions
from snapq.quantization.existing_qdq.requantize import Requantized, requantize
from snapq.quantization.existing_qdq.strip import strip
from snapq.quantization.existing_qdq.transfer import transfer
from snapq.quantization.granularity import granularity
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.overrides import resolve
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.stages.base import Context, Source
from snapq.storage import storage_errors, write_json

if TYPE_CHECKING:
    Feeds = Mapping[str, np.ndarray]

WEIGHTS = "weights.json"
"""Encodings of weights that the quantize stage shall use, beside a float model."""


def from_file(
    path: Path,
    model: ir.Model,
    overrides: Sequence[Override],
    context: Context,
    progress: Advance | None = None,
) -> Requantized:
    """Quantizes a prepared model with the encodings of a file that was made for the model as given.

    Overrides are the YAML's; `progress` is told after each sample.

    Raises:
        ConfigError: the file is not of the format, or not for this model.
        DataError: a tensor has no encoding, and there are no samples.
    """
    assert context.given is not None
    original = strip(io.load(context.given.model)).model
    given = read(path, original)
    if context.boundary is not None:
        model = boundary.fold_normalization(model, context.boundary)
    encodings, lost = carried(original, model, given.encodings, context)
    found = requantize(
        model,
        encodings,
        conditions(context),
        feeds(context),
        inputs=fixed_inputs(context.boundary),
        floats=given.floats,
        per_node=resolve(overrides, model),
        progress=progress,
    )
    told = [f"{found.imposed} of {len(given.encodings)} encodings of {path.name} are kept."]
    if lost:
        told.append(f"{lost} belong to tensors that preparing fused or folded away.")
    notes = (Note(NoteKind.ENCODINGS, (), text) for text in told)
    whole = replace(found.quantized, notes=(*notes, *found.quantized.notes))
    return replace(found, quantized=whole)


def conditions(context: Context, bare: ActivationType = ActivationType.UINT8) -> Conditions:
    """What the devices of a run take; `bare` is the type of what came without an encoding."""
    return Conditions(
        architecture=min(device.architecture for device in context.devices),
        float16=all("fp16" in device.precisions for device in context.devices),
        bare=bare,
    )


def feeds(context: Context) -> Iterator[Feeds] | None:
    """The calibration samples as the model takes them; None where there are none."""
    data, plan = context.calibration, context.boundary
    if data is None:
        return None
    return (sample.feeds if plan is None else plan.model_feeds(sample) for sample in data)


def carried(
    original: ir.Model, prepared: ir.Model, encodings: Mapping[str, Encoding], context: Context
) -> tuple[dict[str, Encoding], int]:
    """Encodings by the names of the prepared model, and how many it has no tensor for.

    Tensors are matched on the first calibration sample; on random inputs where there is none.
    """
    data: Any = context.calibration
    if data is None:
        data = open_dataset(DataSource(random=True, samples=1), input_specs(original), base=Path())
    sample = next(iter(data))
    plan = context.boundary
    folded = sample.feeds if plan is None else plan.model_feeds(sample)
    found = transfer(encodings, (original, sample.feeds), (prepared, folded))
    return found.encodings, len(found.lost)


def fixed_inputs(plan: Boundary | None) -> dict[str, Encoding]:
    """Encodings that the boundary imposes on inputs: raw frames enter as they are."""
    found = {}
    for name, given in (plan.input_encodings() if plan is not None else {}).items():
        dtype = QuantType(given.dtype)
        scale = np.asarray(given.scale, np.float32)
        found[name] = Encoding(dtype, scale, np.asarray(given.zero_point, dtype.numpy))
    return found


def write_weights(folder: Path, encodings: Mapping[str, Encoding]) -> None:
    """Writes encodings of weights beside a float model. Raises `StorageError`."""
    values = [
        {
            "tensor": name,
            "dtype": held.dtype.value,
            "scale": [float(value) for value in held.scale.reshape(-1)],
            "axis": held.axis,
        }
        for name, held in sorted(encodings.items())
    ]
    write_json(folder / WEIGHTS, values)


def read_weights(source: Source) -> dict[str, Encoding]:
    """Encodings of weights that the stage before left; all are symmetric. Raises `StorageError`."""
    path = source.folder / WEIGHTS
    if not path.is_file():
        return {}
    with storage_errors(path):
        text = path.read_text(encoding="utf-8")
    found = {}
    try:
        for value in json.loads(text):
            dtype = QuantType(value["dtype"])
            scale = np.asarray(value["scale"], np.float32)
            scale = scale if value["axis"] is not None else scale.reshape(())
            zero = np.zeros(scale.shape, dtype.numpy)
            found[str(value["tensor"])] = Encoding(dtype, scale, zero, granularity(value["axis"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError("This is not a record of weights.", where=str(path)) from error
    return found


def stored_types(model: ir.Model, weights: Mapping[str, Encoding]) -> dict[str, NodePrecision]:
    """The weight type of each node that reads a weight with an imposed encoding."""
    return {
        str(node.name): NodePrecision(
            weights=WeightType(weights[str(value.name)].dtype.value), reason="its shared weights"
        )
        for node in model.graph
        for value in node.inputs
        if value is not None and str(value.name) in weights
    }


def unchanged(
    weights: Mapping[str, Encoding], before: ir.Model, after: ir.Model
) -> tuple[dict[str, Encoding], tuple[Note, ...]]:
    """The encodings whose weights are still what they were, and a note on the others."""

    def array(model: ir.Model, name: str) -> np.ndarray | None:
        value = model.graph.initializers.get(name)
        tensor = value.const_value if value is not None else None
        return None if tensor is None else np.asarray(tensor.numpy())

    def same(name: str) -> bool:
        first, second = array(before, name), array(after, name)
        return first is not None and second is not None and np.array_equal(first, second)

    kept = {name: held for name, held in weights.items() if same(name)}
    gone = sorted(set(weights) - set(kept))
    if not gone:
        return kept, ()
    text = f"{', '.join(gone)}: the normalization of the input changed its shared values."
    return kept, (Note(NoteKind.ENCODINGS, (), text),)
