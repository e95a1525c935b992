"""Reads what `verify.py` of a bundle measured (`snapq.verify/1`) as a result of the history.

The file comes from another machine: its figures are worked out here from the single latencies, and
whether they are a claim is judged by the rules for boards.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from snapq.benchmarking.statistics import doubts, no_claim, uneven_counts
from snapq.benchmarking.targets.golden_answers import answers_met, answers_reasons, worst
from snapq.benchmarking.targets.results import latency_of
from snapq.bundle.schema import MOST_SAMPLES
from snapq.errors import StorageError
from snapq.records import Origin
from snapq.records import bench as results
from snapq.storage import storage_errors

__all__ = ["read_measurement"]

_MOST_BYTES = 64 << 20
_CLOCKS_DIFFER = 1.05
_SPACE = uuid.UUID("3d1f3a4e-52b1-5cf5-9b56-6a2f4f0e7d11")
"""Ids of imported results: the same file twice is one result."""


def _check_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds control characters")
    return value


_Text = Annotated[str, Field(max_length=2000), AfterValidator(_check_text)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=2**40)]


class _Part(BaseModel):
    """Unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Model(_Part):
    name: _Text
    sha256: _Sha256
    bytes: _Count


class _Host(_Part):
    host: _Text
    os: _Text
    kernel: _Text
    machine: _Text
    cpu: _Text
    cores: _Count | None
    emulated: bool


class _Protocol(_Part):
    warmup: _Count
    min_runs: _Count
    min_duration_s: _Figure
    repeats: Annotated[int, Field(gt=0, le=100)]
    threads: Annotated[int, Field(gt=0)]
    performance_mode: _Text | None


class _Placement(_Part):
    npu: _Count | None
    cpu: _Count | None
    partitions: _Count | None
    cpu_nodes: list[list[_Text]]


class _Golden(_Part):
    exact: bool
    largest: _Figure
    span: _Figure
    unit: Literal["steps", "absolute"]


class _Answers(_Part):
    labels: bool
    rows: _Count
    equal: _Count
    ties: _Count
    largest: _Figure
    mean: _Figure
    range: _Figure
    limit: _Figure
    mean_limit: _Figure | None
    met: bool


class _Process(_Part):
    create_ms: _Milliseconds
    warm_ms: _Milliseconds
    first_ms: _Milliseconds
    placement: _Placement
    golden: list[dict[_Text, _Golden]]
    answers: dict[_Text, _Answers] = Field(default_factory=dict)
    turns: Annotated[list[list[_Milliseconds]], Field(min_length=1)]
    versions: dict[_Text, _Text]
    options: dict[_Text, _Text]
    peak_bytes: _Count | None


class _Deployment(_Part):
    deployment: _Text
    given_sha256: _Sha256
    stage: _Text
    calibration_sha256: _Sha256 | None = None
    evaluation_sha256: _Sha256 | None = None


class _File(_Part):
    schema_version: Literal["snapq.verify/1"]
    snapq_version: _Text
    started_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    seconds: _Figure
    label: _Text
    model: _Model
    device: _Text | None
    soc_id: int | None
    architecture: int | None
    golden_samples: _Count
    batch: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 1
    outputs: list[_Text]
    host: _Host
    protocol: _Protocol
    processes: Annotated[list[_Process], Field(min_length=1)]
    deployment: _Deployment | None = None
    """As the bundle tells it; former versions' did not."""


def read_measurement(path: Path) -> results.BenchRecord:
    """The result in a file that `verify.py` wrote.

    Raises:
        StorageError: the file cannot be read, or is no such measurement.
    """
    with storage_errors(path):
        data = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b""
    try:
        file = _File.model_validate(json.loads(data.decode("utf-8")))
        lengths = {len(turn) for one in file.processes for turn in one.turns}
        if 0 in lengths:
            raise ValueError("a turn has no runs")
    except (ValidationError, ValueError, RecursionError) as error:
        raise StorageError(
            f"This is no measurement of verify.py: {_first(error)}.",
            where=str(path),
            hint="Give the measurement.json that a bundle's `verify.py` wrote.",
        ) from error
    return _record(file, str(uuid.uuid5(_SPACE, data.decode("utf-8"))))


def _record(file: _File, run_id: str) -> results.BenchRecord:
    samples, last = _samples(file), file.processes[-1]
    where = Origin.EMULATED if file.host.emulated else Origin.MEASURED
    on_npu = file.device is not None
    golden, answers = tuple(_golden(file)), tuple(_answers(file))
    latency = latency_of(samples)
    place = f"{file.device}'s NPU" if on_npu else "CPU"
    name = file.host.host or "unknown host"
    return results.BenchRecord(
        run_id=run_id,
        started_at=file.started_at,
        snapq_version=file.snapq_version,
        where=where,
        headline=f"{file.label} ran on the {place} of {name}, by the bundle's verify.py.",
        model=results.BenchModel(label=file.label, **file.model.model_dump()),
        subject=file.deployment
        and results.BenchSubject(precision=file.label, **file.deployment.model_dump()),
        target=results.BenchTarget(
            name=name,
            transport="verify.py",
            soc=file.device,
            architecture=file.architecture,
            **file.host.model_dump(exclude={"emulated"}),
        ),
        runtime=results.BenchRuntime(
            versions=last.versions, backend="htp" if on_npu else "cpu", options=last.options
        ),
        placement=results.BenchPlacement(
            fallback="npu context binary" if on_npu else "cpu",
            npu=last.placement.npu,
            cpu=last.placement.cpu,
            partitions=last.placement.partitions,
            cpu_nodes=tuple(
                (node[0], node[1]) for node in last.placement.cpu_nodes if len(node) > 1
            ),
        ),
        protocol=results.BenchProtocol(
            **file.protocol.model_dump(), cooldown_s=0.0, order="one model"
        ),
        load_ms=results.BenchLoad(
            create_cold=_median([one.create_ms for one in file.processes]),
            create_warm=_median([one.warm_ms for one in file.processes]),
            first_inference=_median([one.first_ms for one in file.processes]),
        ),
        latency_ms=latency,
        instructions=round(latency.p50 * 1e6) if file.host.emulated else None,
        throughput_ips=1000 * file.batch / latency.mean if latency.mean else 0.0,
        batch=file.batch,
        memory=results.BenchMemory(
            before=None,
            loaded=None,
            peak=max((one.peak_bytes or 0 for one in file.processes), default=0),
        ),
        thermal=results.BenchThermal(),
        golden=golden,
        answers=answers,
        valid=_validity(file, samples, golden, answers),
        remarks=(
            *([f"{file.label}: timed without its head and tail."] if answers else []),
            f"{file.label}: the machine's clocks and temperatures are not known.",
            *(uneven_counts if file.host.emulated else doubts)(file.label, samples),
        ),
        samples=tuple(tuple(map(float, turn)) for turn in samples),
    )


def _samples(file: _File) -> np.ndarray:
    """Latencies in ms, `[rounds, runs in a turn]`; turns are cut to the shortest."""
    turns = [turn for one in file.processes for turn in one.turns]
    shortest = min(map(len, turns))
    return np.array([turn[:shortest] for turn in turns], dtype=np.float64)


def _golden(file: _File) -> Iterator[results.BenchGolden]:
    """The worst over all samples and processes, output by output."""
    samples = [sample for one in file.processes for sample in one.golden]
    names = dict.fromkeys(name for sample in samples for name in sample)
    for name in names:
        said = [sample[name] for sample in samples if name in sample]
        yield results.BenchGolden(
            output=name,
            samples=len(file.processes[0].golden),
            exact=all(one.exact and one.largest == 0 for one in said),
            largest=max(one.largest for one in said),
            unit=said[0].unit,
            span=max(one.span for one in said),
        )


def _answers(file: _File) -> Iterator[results.BenchAnswers]:
    """Of a classical model, the worst answers to its golden rows over all processes."""
    said = [{n: one.model_dump() for n, one in each.answers.items()} for each in file.processes]
    for name, one in worst(said).items():
        yield results.BenchAnswers(output=name, **one)


def _validity(
    file: _File,
    samples: np.ndarray,
    golden: tuple[results.BenchGolden, ...],
    answers: tuple[results.BenchAnswers, ...],
) -> results.BenchValid:
    protocol, placement = file.protocol, file.processes[-1].placement
    on_npu = file.device is not None and not placement.cpu and placement.npu != 0
    runs_met = samples.size >= protocol.min_runs
    duration_met = bool(samples.sum() / 1000 >= protocol.min_duration_s)
    golden_met = all(one.exact for one in golden) if golden and file.device else None
    compared = all(
        len(one.golden) == file.golden_samples
        and all(set(s) == set(file.outputs) for s in one.golden)
        for one in file.processes
    )
    plausible = file.host.emulated or samples.sum() / 1000 <= _CLOCKS_DIFFER * file.seconds
    reasons = [
        reason
        for holds, reason in (
            (runs_met, f"only {samples.size} of {protocol.min_runs} runs"),
            (duration_met, f"less than {protocol.min_duration_s:g} s of runs"),
            (on_npu or file.device is None, "not everything ran on the NPU"),
            (not file.host.emulated, "the board is emulated"),
            (golden_met is not False, "the outputs differ from the golden data"),
            (compared, "outputs were not compared with all golden data"),
            (bool((samples > 0).all()), "some runs are said to have taken no time"),
            (
                len(file.processes) >= protocol.repeats,
                f"only {len(file.processes)} of {protocol.repeats} fresh processes",
            ),
            (bool(plausible), "the times add up to more than the measurement took"),
        )
        if not holds
    ]
    reasons += answers_reasons(answers, has_host=False)
    if not file.host.emulated:
        reasons += no_claim(samples)
    return results.BenchValid(
        ok=not reasons,
        min_duration_met=duration_met,
        min_runs_met=runs_met,
        all_on_npu=on_npu,
        not_throttled=True,
        not_emulated=not file.host.emulated,
        golden_met=golden_met,
        answers_met=answers_met(answers),
        reasons=tuple(reasons),
    )


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _first(error: Exception) -> str:
    """What is wrong, without control characters."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        text = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    else:
        text = str(error) or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
