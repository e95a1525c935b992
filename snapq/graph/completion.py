"""Shapes and types that inference leaves open, filled in by running the model once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq import runtime
from snapq.errors import ModelError
from snapq.graph import io
from snapq.graph.edits import remove_dead_nodes
from snapq.graph.shapes import input_specs, static_shape

if TYPE_CHECKING:
    import onnxruntime

DATA_DEPENDENT = frozenset(
    {
        *("NonZero", "NonMaxSuppression", "Unique", "Compress", "Loop", "Scan", "If"),
        *("StringSplit", "Multinomial"),
    }
)
"""Operators whose output shape depends on what the inputs hold, not on their shapes."""


def complete_shapes(model: ir.Model) -> tuple[str, ...]:
    """Gives every value a type and a fixed shape, in place, and checks that the model runs.

    1. ONNX Runtime loads the model: it refuses what does not fit together.
    2. Values whose shape is unknown get the one that they have in a run on inputs of zeros, where
       it depends on nothing but the shapes of the inputs.

    Returns:
        One sentence for each operator whose output has no fixed shape.

    Raises:
        ModelError: ONNX Runtime does not accept or does not run the model.
    """
    record_shapes(model)
    _session(model)
    return tuple(
        f"The output shape of {node.op_type} '{node.name}' depends on the data; the NPU needs "
        "fixed shapes: cut the model in front of it and do its work on the CPU."
        for node in model.graph
        if node.op_type in DATA_DEPENDENT
    )


def record_shapes(model: ir.Model) -> int:
    """Runs the model on zeros, in place of inference that knows no further.

    Returns:
        The number of values whose type and shape became known.

    Raises:
        ModelError: ONNX Runtime does not accept or does not run the model.
    """
    loose = _data_dependent(model)
    open_values = [
        output
        for node in model.graph
        for output in node.outputs
        if output.name and output not in loose and not _is_known(output)
    ]
    for value, array in zip(open_values, _run(model, open_values), strict=True):
        value.shape = ir.Shape(array.shape)
        value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
    return len(open_values)


def _is_known(value: ir.Value) -> bool:
    return value.dtype is not None and static_shape(value) is not None


def _data_dependent(model: ir.Model) -> set[ir.Value]:
    """Values that come after an operator whose output shape depends on data."""
    loose: set[ir.Value] = set()
    for node in model.graph:
        if node.op_type in DATA_DEPENDENT or any(value in loose for value in node.inputs):
            loose.update(output for output in node.outputs if not _is_known(output))
    return loose


def _run(model: ir.Model, wanted: list[ir.Value]) -> list[np.ndarray]:
    """Computes values by the nodes that they need, on inputs of zeros."""
    if not wanted:
        return []
    part = model.clone()
    values = {str(value.name): value for node in part.graph for value in node.outputs}
    part.graph.outputs.clear()
    part.graph.outputs.extend(values[str(value.name)] for value in wanted)
    remove_dead_nodes(part.graph)
    common.RemoveUnusedNodesPass()(part)
    session = _session(part)
    feeds = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in input_specs(model)}
    try:
        return list(session.run([value.name for value in wanted], feeds))
    except Exception as error:
        raise ModelError(
            f"The model does not run: {str(error).strip().splitlines()[0]}",
            mend="Check that the shapes under `model.inputs` are ones that the model takes.",
        ) from error


def _session(model: ir.Model) -> onnxruntime.InferenceSession:
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(model, path)
        return runtime.cpu_session(path, optimize=False)
