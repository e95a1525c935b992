"""The lower stage: a classical model (ONNX-ML) as a head, a part for the NPU and a tail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from snapq.bundle import ENCODINGS
from snapq.bundle.write import write_arrays
from snapq.classical.division import program
from snapq.classical.ensemble import Ensemble
from snapq.classical.host import HOST, HOST_ARRAYS, OWN_ROWS
from snapq.classical.on_npu import Numbers, OnNpu, lower_model
from snapq.classical.summary import summaries
from snapq.config import LowerConfig, QuantizeConfig
from snapq.evaluation.samples import Array, Dataset
from snapq.graph import io
from snapq.graph.boundary.quantize_nodes import DEQUANTIZE, QUANTIZE, encoding_of
from snapq.graph.classical import rows_at_once
from snapq.graph.shapes import input_specs
from snapq.npu.memory import Memory
from snapq.precision import ActivationType, WeightType
from snapq.records import EncodingRecord
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.stages.classical_cpu import write_for_cpu
from snapq.storage import write_json

if TYPE_CHECKING:
    from snapq.classical.model import ClassicalModel

_SOME_ROWS = 2000
PRECISION = "w8a8"
"""Of trees: integers of 8 bits, whose sums have 16."""


def reads(options: LowerConfig) -> Reads:
    """The model with its number of rows, and the devices, whose estimates choose between forms.

    Rows of calibration say how large numbers are; weights depend on what `quantize` makes of them.
    """
    return Reads((Input.PREVIOUS, Input.DEVICES), (Input.CALIBRATION, Input.QUANTIZE))


def run(options: LowerConfig, context: Context, folder: Path) -> Outcome:
    """Writes the part for the NPU, head and tail, and the model for the CPU into `folder`.

    Raises:
        ModelError: the model holds what cannot be lowered; the node is named.
        QnnError: no form of it compiles.
    """
    from snapq.classical.model import ClassicalModel

    given = io.load(context.previous.model)
    batch = rows_at_once(input_specs(given))
    model = ClassicalModel.read(given)
    made = lower_model(
        model,
        batch,
        context.devices,
        form=options.encoding,
        exact=options.exact,
        numbers=Numbers(_some_rows(context.calibration), _in_halves(context.quantize)),
        progress=context.progress,
        memory=Memory(context.memo),
    )
    io.save(made.model, folder / MODEL)
    value, arrays = made.host(model).to_json()
    write_json(folder / HOST, value)
    write_arrays(folder / HOST_ARRAYS, arrays)
    if made.trees:
        write_json(folder / ENCODINGS, [one.to_json() for one in _encodings(made.model)])
    own = own_rows(model, made, batch)
    if own:
        write_arrays(folder / OWN_ROWS, own)
    details = {
        "rows": batch,
        "estimators": [one.to_json() for one in summaries(model)],
        "npu": [one.form.name for one in made.estimators],
        "npu_nodes": len(made.model.graph),
        "form": made.part.note,
        "exact": made.part.exact,
        "head_steps": len(value["head"]["steps"]),
        "tail_steps": len(value["tail"]["steps"]),
    }
    notes = (*made.notes, *write_for_cpu(model, made, batch, folder))
    return Outcome(PRECISION if made.trees else "float", notes, details)


def _in_halves(quantize: QuantizeConfig | None) -> bool:
    """Whether weights of 8 bits come beside activations of 16."""
    return (
        quantize is not None
        and quantize.weights is WeightType.INT8
        and quantize.activations is ActivationType.UINT16
    )


def _some_rows(data: Dataset | None) -> dict[str, Array] | None:
    """The first rows of calibration, by input; None where there are none."""
    if data is None:
        return None
    found: list[Mapping[str, Array]] = []
    count = 0
    for sample in data:
        found.append({name: value[: sample.rows] for name, value in sample.feeds.items()})
        count += sample.rows or 0
        if count >= _SOME_ROWS:
            break
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def own_rows(model: ClassicalModel, made: OnNpu, batch: int) -> dict[str, Array]:
    """What the part on the NPU takes for rows that the model brings itself: support vectors.

    Returns:
        By input of the part, as many whole batches as they fill, in one array.
    """
    if made.trees:
        return {}
    from snapq.classical.lowering import calibration_rows

    by_rows = {
        one.rows: calibration_rows(one.form)
        for one in made.estimators
        if not isinstance(one.form, Ensemble)
    }
    count = max(map(len, by_rows.values()))
    if not count or any(not len(rows) for rows in by_rows.values()):
        return {}
    whole = -(-count // batch) * batch
    filled = {name: rows[np.arange(whole) % len(rows)] for name, rows in by_rows.items()}
    head = program(made.part.encode, tuple(filled), made.part.inputs)
    return dict(head.run(filled))


def _encodings(model: ir.Model) -> Iterator[EncodingRecord]:
    """The encodings that stand in the graph, of each tensor once."""
    seen: set[str] = set()
    for node in model.graph:
        if node.op_type not in (QUANTIZE, DEQUANTIZE) or len(node.inputs) < 3:
            continue
        value = node.inputs[0] if node.op_type == QUANTIZE else node.outputs[0]
        name, found = str(value.name) if value is not None else "", encoding_of(node)
        if not name or name in seen or found is None:
            continue
        seen.add(name)
        scale, zero_point = found.numbers
        limits = np.iinfo(found.dtype.numpy())
        constant = node.inputs[0] is not None and node.inputs[0].is_initializer()
        yield EncodingRecord(
            tensor=name,
            kind="weight" if constant else "activation",
            dtype=found.dtype.numpy().name,
            scale=(scale,),
            zero_point=(zero_point,),
            axis=None,
            channels=1,
            minimum=(limits.min - zero_point) * scale,
            maximum=(limits.max - zero_point) * scale,
        )
