"""What runs of a classical model without an NPU, or without Python: ONNX for the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx

from snapq.bundle import CPU, HEAD, TAIL
from snapq.classical.model import ClassicalModel
from snapq.classical.on_npu import OnNpu
from snapq.classical.program import Array
from snapq.classical.program.answers import Answers
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.classical.writing import program_to_onnx
from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.storage import write_bytes

__all__ = ["write_for_cpu"]

_SAME = 1e-5
"""Of the range of an output: how far rewritten models may be from the steps that they stand for."""


def write_for_cpu(model: ClassicalModel, made: OnNpu, batch: int, folder: Path) -> Iterator[str]:
    """Writes `cpu.onnx`, the whole model, and `head.onnx` and `tail.onnx` around the NPU's part.

    Each is run beside the steps that it stands for, and left out where it gives anything else.

    Args:
        model: as it was read.
        made: its part on the NPU.
        batch: rows that it takes at once.
        folder: of the lower stage.

    Yields:
        A sentence for each that cannot be had.
    """
    host = made.host(model)
    rows = _rows(model, batch, whole=False)
    try:
        feeds = host.encode(rows)
    except ModelError:  # trees that were put onto the NPU for whole numbers take no others
        rows = _rows(model, batch, whole=True)
        feeds = host.encode(rows)
    outputs = {
        str(v.name): np.zeros([*map(int, v.shape or ())], v.dtype.numpy())  # type: ignore[union-attr, arg-type]
        for v in made.model.graph.outputs
    }
    behind = {**rows, **outputs}
    own = {name: behind[name] for name in host.tail.inputs}
    parts: tuple[
        tuple[str, Callable[[], onnx.ModelProto], Mapping[str, Array], Mapping[str, Array]], ...
    ] = (
        (CPU, lambda: rewrite_for_cpu(model), rows, model.run(rows)),
        (HEAD, lambda: program_to_onnx(host.head, rows), rows, feeds),
        (TAIL, lambda: program_to_onnx(host.tail, own), own, host.tail.run(own)),
    )
    for name, make, given, expected in parts:
        why = _written(folder / name, make, given, expected)
        if why is not None:
            yield f"The bundle has no {name}: {why}"


def _written(
    path: Path,
    make: Callable[[], onnx.ModelProto],
    given: Mapping[str, Array],
    expected: Mapping[str, Array],
) -> str | None:
    """Writes a model that computes what is expected; says why not where it does not."""
    try:
        data = make().SerializeToString(deterministic=True)
        session = CpuModel(data)
        found = session.run({name: given[name] for name in session.inputs})
    except ModelError as error:
        return error.what
    other = _other(expected, found)
    if other is not None:
        return f"ONNX Runtime gives other values for '{other}'."
    write_bytes(path, data)
    return None


def _other(expected: Mapping[str, Array], found: Mapping[str, Array]) -> str | None:
    """An output that differs, ties of scores and the rounding of float32 sums aside."""
    for name, value in expected.items():
        if name not in found or found[name].shape != value.shape:
            return name
    answers = Answers()
    answers.update(expected, found, len(next(iter(expected.values()))))
    for name, one in answers.outputs.items():
        if one.labels and one.equal + one.ties < one.rows:
            return name
        if not one.labels and one.largest > _SAME * max(one.range, 1.0):
            return name
    return None


def _rows(model: ClassicalModel, batch: int, *, whole: bool) -> dict[str, Array]:
    """Rows by input of the model: real numbers, or whole ones from 0 to 9."""
    generator = np.random.default_rng(0)
    found = {}
    for port in model.inputs:
        shape = (batch, *(length or 1 for length in port.shape[1:]))
        values = generator.integers(0, 10, shape) if whole else generator.standard_normal(shape)
        found[port.name] = values.astype(port.dtype)
    return found
