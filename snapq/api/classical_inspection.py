"""`inspect` of a tree ensemble, SVM or linear model: what it becomes on the NPU, and the advice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from snapq.errors import ConfigError, ModelError, QnnError
from snapq.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from snapq.classical.model import ClassicalModel
    from snapq.classical.on_npu import OnNpu
    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.shapes import InputShapes

ROWS = 128
"""Rows at once where nothing says how many."""


@dataclass(frozen=True)
class InspectedEstimator:
    """An estimator, and what becomes of it.

    Attributes:
        name: of its node.
        what: its size, in words.
        runs_on: `npu`, or `cpu` in the tail.
    """

    name: str
    what: str
    runs_on: str


@dataclass(frozen=True)
class OpenedClassical:
    """A classical model that was read and lowered.

    Attributes:
        given: the model with its rows fixed.
        model: as it was read.
        made: its part on the NPU.
        rows: how many it takes at once.
        notes: sentences for the reader.
    """

    given: ir.Model
    model: ClassicalModel
    made: OnNpu
    rows: int
    notes: tuple[str, ...]

    @property
    def precision(self) -> str:
        """Of its part on the NPU."""
        return "w8a8" if self.made.trees else "fp16"


def refuse_classical(model: ir.Model, command: str) -> None:
    """Raises `ConfigError` where a command for networks is given a classical model."""
    from snapq.graph.classical import is_classical

    if is_classical(model):
        raise ConfigError(
            f"`snapq {command}` is for networks, and this is a tree ensemble, SVM or linear model.",
            where=command,
            hint="`snapq init MODEL` writes a deploy.yaml for it, and `snapq run` does all of it.",
        )


def open_classical(
    given: ir.Model, inputs: InputShapes, devices: Sequence[DeviceProfile], progress: Progress
) -> OpenedClassical:
    """Lowers a classical model; 128 rows at once where neither the model nor `inputs` say more.

    Raises:
        ModelError: it holds what is not covered, or an input is no table of rows.
        QnnError: no form of it compiles.
    """
    from snapq.classical.model import ClassicalModel
    from snapq.classical.on_npu import lower_model, npu_estimators
    from snapq.graph.classical import fix_rows, rows_at_once
    from snapq.graph.foreign import guarded, try_out_model
    from snapq.graph.shapes import graph_inputs, input_specs, static_shape

    frozen = given.clone()
    chosen = dict(inputs)
    open_ = [value for value in graph_inputs(frozen) if static_shape(value) is None]
    missing = [v for v in open_ if v.name not in chosen and v.shape is not None]
    for value in missing:
        dims = list(value.shape or ())[1:]
        if all(isinstance(dim, int) for dim in dims):
            chosen[str(value.name)] = [ROWS, *map(int, dims)]  # type: ignore[arg-type]
    fix_rows(frozen, chosen)
    rows = rows_at_once(input_specs(frozen))
    # In a process of its own first: a file can declare anything.
    guarded(lambda: npu_estimators(ClassicalModel.read(frozen)) and None, frozen)
    try_out_model(frozen)
    model = ClassicalModel.read(frozen)
    made = lower_model(model, rows, devices, progress=progress)
    told = f"{rows} rows at once; another number: --input {missing[0].name}=N,…" if missing else ""
    return OpenedClassical(frozen, model, made, rows, tuple(filter(None, (told,))))


def estimators(opened: OpenedClassical) -> tuple[InspectedEstimator, ...]:
    """The estimators of a model, and where they run."""
    from snapq.classical.summary import summaries

    on_npu = {one.form.name for one in opened.made.estimators}
    return tuple(
        InspectedEstimator(one.name, one.describe(), "npu" if one.name in on_npu else "cpu")
        for one in summaries(opened.model)
    )


def advice(opened: OpenedClassical, device: DeviceProfile) -> str:
    """Where to run it, in a sentence; why that cannot be said where there is no estimate."""
    from snapq.bundle import CPU
    from snapq.classical.advice import Advice, fastest_cpu, fastest_us
    from snapq.classical.more_rows import rows_for_the_npu
    from snapq.classical.rewrite import rewrite_for_cpu
    from snapq.cpu import CpuModel
    from snapq.npu.model import Memory, Model

    try:
        estimate = Model(opened.made.model, device).estimate(opened.precision)
    except QnnError as error:
        return f"No advice, as there is no estimate: {error.what}"
    rows = typical_rows(opened)
    whole, host = CpuModel(opened.given), opened.made.host(opened.model)
    feeds = host.encode(rows)
    outputs = CpuModel(opened.made.model, optimize=False).run(feeds)
    host_us = fastest_us(lambda: host.encode(rows))
    host_us += fastest_us(lambda: host.decode(rows, outputs))
    ways = {"": lambda: whole.run(rows)}
    with suppress(ModelError):
        rewritten = CpuModel(rewrite_for_cpu(opened.model).SerializeToString())
        ways[CPU] = lambda: rewritten.run(rows)
    cpu_us, cpu_model = fastest_cpu(ways)
    found = Advice(opened.rows, cpu_us, estimate.precise_us, host_us, cpu_model)
    more = rows_for_the_npu(opened.model, opened.made.estimators, device, found, Memory())
    return replace(found, wins_from=more).sentence


def typical_rows(opened: OpenedClassical) -> dict[str, np.ndarray[Any, Any]]:
    """Rows for all inputs of the model."""
    from snapq.classical.more_rows import typical_rows as near_thresholds
    from snapq.graph.shapes import input_specs

    inputs = [(spec.name, spec.shape, spec.dtype) for spec in input_specs(opened.given)]
    return near_thresholds(inputs, opened.made.estimators)
