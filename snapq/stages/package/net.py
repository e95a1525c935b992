"""Whether the compiled models compute what the CPU does, and what is done where they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.bundle import ENCODINGS, MODEL
from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import boundary, io
from snapq.graph.behind import unsteady_outputs
from snapq.graph.boundary import Applied
from snapq.npu.judged.right import worse
from snapq.progress import Progress
from snapq.quantization.agreement.compare import Agreement, compare, with_changes
from snapq.quantization.agreement.locate import Bench, on_cpu
from snapq.quantization.agreement.mend import Mended, mend
from snapq.quantization.agreement.noise import with_noise
from snapq.quantization.agreement.verdict import verdict
from snapq.quantization.existing_qdq.reading import encoding_of
from snapq.records import EncodingRecord
from snapq.stages.package.compile_device import CompiledDevice
from snapq.stages.package.golden import Expected, Reloaded
from snapq.stages.package.job import PackageJob
from snapq.storage import storage_errors, write_json

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[str, Array]

_SAMPLES = 3
"""So many samples show a fault."""


@dataclass(frozen=True)
class Mending:
    """What was done about faults of the NPU.

    Attributes:
        changed: the job with another model, where nodes were written otherwise.
        left: by device, what no form of the nodes helps with.
        notes: sentences for the reader.
    """

    changed: PackageJob | None = None
    left: Mapping[str, Mended] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def judged(self, reloaded: Reloaded) -> Reloaded:
        """A compiled model with what is wrong with it; it has no golden outputs where they are."""
        left = self.left.get(reloaded.device)
        found = verdict(reloaded.device, reloaded.findings, left.left if left is not None else None)
        notes = (*reloaded.notes, *found.notes)
        if found.fault is None:
            return replace(reloaded, notes=notes, verdict=found)
        return replace(
            reloaded,
            golden=None,
            sentence=f"{found.fault}; no golden outputs are kept",
            notes=notes,
            verdict=found,
        )


class CpuResults:
    """What the CPU gives of a packaged model, and float; computed when it is asked for.

    Args:
        job: what is packaged.
        applied: the model with its boundary.
        model: its file.
        feeds: samples as the package takes them.
    """

    def __init__(
        self, job: PackageJob, applied: Applied, model: Path, feeds: Sequence[Values]
    ) -> None:
        self._job, self._boundary, self._model, self._feeds = job, applied.boundary, model, feeds

    def compared(self, found: Sequence[Values]) -> tuple[tuple[Agreement, ...], tuple[str, ...]]:
        """Compares outputs of the NPU, behind which are those of the first sample once more.

        Returns:
            The findings, and notes where there are none.
        """
        float16 = self._job.precision == "float"
        count = len(self._feeds)
        npu = self._samples(found[:count])
        try:
            cpu = self._cpu
        except ModelError as error:
            return (), (f"The NPU's values are not compared with the CPU's: {error}",)
        chosen = unsteady_outputs(io.load(self._model).graph)
        findings = compare(
            cpu, npu, self._reference, float16=float16, noisy=self._noisy, chosen=chosen
        )
        return with_changes(findings, (found[0], *found[count:])), ()

    def worse(self, usual: Sequence[Values], other: Sequence[Values]) -> str | None:
        """What the compiled form gives worse than the portable model, both simulated."""
        try:
            truth = self._reference or self._cpu
        except ModelError:
            return None
        return worse(truth, self._samples(usual), self._samples(other))

    @cached_property
    def _cpu(self) -> list[dict[str, Array]]:
        found = on_cpu(io.load(self._model), self._feeds)
        return self._samples(found)

    def _samples(self, calls: Sequence[Values]) -> list[dict[str, Array]]:
        """What calls gave, sample by sample, as the float model has it."""
        batch = self._boundary.batch
        return [
            self._boundary.package_outputs(sample)
            for call in calls
            for sample in boundary.parted(call, batch)
        ]

    def _noisy(self) -> list[list[dict[str, Array]]]:
        float16 = self._job.precision == "float"
        runs = with_noise(io.load(self._model), self._feeds, float16=float16)
        return [self._samples(run) for run in runs]

    @cached_property
    def _reference(self) -> list[dict[str, Array]] | None:
        batch = self._boundary.batch
        found = reference(self._job, len(self._feeds) * batch)
        if found is None or not _alike(found[0], self._cpu[0]):
            return None
        if batch == 1:
            return found
        # The last call has samples again, from its own first one on.
        last = found[(len(self._feeds) - 1) * batch :]
        rest = len(self._cpu) - len(found)
        return [
            *found,
            *(last[number % len(last)] for number in range(len(last), len(last) + rest)),
        ]


def reference(job: PackageJob, count: int) -> list[dict[str, Array]] | None:
    """Outputs of the float model for the first samples; None where there is no such model."""
    if job.float_model is None or job.samples is None or job.precision == "float":
        return None
    model = CpuModel(job.float_model)
    return [model.run(sample.feeds) for sample in job.samples[:count]]


def expected(job: PackageJob, applied: Applied, model: Path, feeds: Sequence[Values]) -> Expected:
    """What the compiled models are run with, and what their outputs are compared with."""
    results = CpuResults(job, applied, model, feeds)
    return Expected(model, feeds, results.compared, results.worse)


def mend_faults(
    job: PackageJob,
    compiled: Sequence[CompiledDevice],
    reloads: Sequence[Reloaded],
    scratch: Path,
    progress: Progress,
) -> Mending:
    """Looks for nodes behind faults of the NPU, and writes them otherwise where that helps.

    Args:
        job: what was packaged.
        compiled: what was compiled.
        reloads: what each of these gave, in the same order.
        scratch: folder for a changed model and its encodings.
        progress: told what is tried.

    Raises:
        StorageError: the changed model cannot be written.
    """
    model = _model(job)
    feeds = _model_feeds(job, model)
    truth = reference(job, len(feeds))
    left: dict[str, Mended] = {}
    notes: list[str] = []
    for entry, reloaded in zip(compiled, reloads, strict=True):
        if not any(one.finding.faulty for one in reloaded.findings):
            continue
        bench = Bench(
            entry.device,
            feeds,
            entry.compilation.options,
            job.memory,
            allow_cpu=job.npu_share < 1,
        )
        found = mend(model, bench, truth, float16=job.precision == "float", say=progress.say)
        notes += [f"{entry.device.name}: {change}" for change in found.changes]
        model = found.model
        if found.left is not None:
            left[entry.device.name] = found
    if not notes:
        return Mending(None, left)
    return Mending(_changed(job, model, scratch), left, tuple(notes))


def _model(job: PackageJob) -> ir.Model:
    model = io.load(job.model)
    if job.precision == "float" and not job.folded:
        model = boundary.fold_normalization(model, job.plan)
    return model


def _model_feeds(job: PackageJob, model: ir.Model) -> tuple[Values, ...]:
    """The first samples as the model takes them; random ones where there are none."""
    if job.samples is not None:
        return tuple(job.plan.model_feeds(sample) for sample in job.samples[:_SAMPLES])
    generator = np.random.default_rng(0)
    found = {}
    for value in model.graph.inputs:
        assert value.dtype is not None
        assert value.shape is not None
        shape, dtype = value.shape.numpy(), value.dtype.numpy()
        is_float = value.dtype.is_floating_point()
        drawn = generator.standard_normal(shape) if is_float else np.zeros(shape)
        found[str(value.name)] = drawn.astype(dtype)
    return (found,)


def _changed(job: PackageJob, model: ir.Model, scratch: Path) -> PackageJob:
    """The job with a changed model, which is written with its encodings."""
    io.save(model, scratch / MODEL)
    encodings = None
    if job.encodings is not None:
        encodings = scratch / ENCODINGS
        with storage_errors(job.encodings):
            values = json.loads(job.encodings.read_text(encoding="utf-8"))
        known = {value["tensor"] for value in values}
        values += [one.to_json() for one in _own_encodings(model) if one.tensor not in known]
        write_json(encodings, values)
    return replace(job, model=scratch / MODEL, encodings=encodings, folded=True)


def _own_encodings(model: ir.Model) -> list[EncodingRecord]:
    """Encodings of what nodes read otherwise than it is held for all."""
    found = []
    for node in model.graph:
        given = node.inputs[0] if node.op_type == "QuantizeLinear" else None
        maker = given.producer() if given is not None else None
        encoding = encoding_of(node) if maker is not None else None
        if encoding is None or maker is None or maker.op_type != "DequantizeLinear":
            continue
        found.append(
            EncodingRecord(
                tensor=str(node.outputs[0].name),
                kind="activation",
                dtype=encoding.dtype.value,
                scale=tuple(float(value) for value in encoding.scale.reshape(-1)),
                zero_point=tuple(int(value) for value in encoding.zero_point.reshape(-1)),
                axis=encoding.axis,
                channels=int(encoding.scale.size),
                minimum=float(encoding.minimum.min()),
                maximum=float(encoding.maximum.max()),
            )
        )
    return found


def _alike(one: Values, other: Values) -> bool:
    """Whether outputs have the same names and shapes: a cut model's may not."""
    return one.keys() == other.keys() and all(one[n].shape == other[n].shape for n in one)
