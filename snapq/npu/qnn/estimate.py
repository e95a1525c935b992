"""Qualcomm's Performance Estimate: what the compiler expects of the accelerator, no device needed.

The compiler writes it for some SoCs only, when a session is created with profiling on. It covers
the accelerator's time and not the remote call around it, and it is deterministic. Nothing that a
*run* on the simulator reports about time is ever read.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import QnnError, UnansweredError
from snapq.npu.qnn import model_files, sessions, tasks, workers
from snapq.npu.qnn.model_files import ModelFiles
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.records import EstimateRecord

PROFILE_FILE = "profile.csv"
PROFILING = {"profiling_level": "basic", "profiling_file_path": PROFILE_FILE}
"""Provider options with which a session writes its estimate into the worker's folder."""

_START = "Performance Estimates"
_MISSING = "Missing Ops"
_FIGURES = {
    "Simulated (Accelerator exec cycles)": "cycles",
    "Simulated (Accelerator exec cycles (lower estimate))": "cycles_lower",
    "Simulated (Accelerator exec cycles (upper estimate))": "cycles_upper",
    "Simulated (Accelerator exec time us)": "us",
    "Simulated (Accelerator exec time us (lower estimate))": "us_lower",
    "Simulated (Accelerator exec time us (upper estimate))": "us_upper",
}


@dataclass(frozen=True)
class Figures:
    """What the profile says; the sum over the parts of the graph where it has several."""

    us: int
    us_lower: int
    us_upper: int
    cycles: int
    cycles_lower: int
    cycles_upper: int
    ddr_bytes: dict[str, int]
    missing_ops: int


def estimate(
    model: Path, device: DeviceProfile, options: CompileOptions = DEFAULTS, *, label: str = ""
) -> EstimateRecord:
    """Compiles the model and reads its estimate; all else is as `npu.Model.estimate` says."""
    with profiled(model, device, options, PROFILING) as (_, _, found):
        return found.model_copy(update={"label": label})


@contextmanager
def profiled(
    model: Path, device: DeviceProfile, options: CompileOptions, profiling: Mapping[str, str]
) -> Iterator[tuple[ModelFiles, Path, EstimateRecord]]:
    """Compiles a model with these provider options for profiling. Raises as `estimate`.

    Yields:
        The model's files, the folder with what the compiler wrote, and the estimate in it.
    """
    files = model_files.read(model)
    if files.compiled:
        raise QnnError(
            "A compiled model has no estimate.",
            where=str(model),
            hint="Estimate the model that it was compiled from.",
        )
    model_files.check_compilable(files, fp16=options.fp16)
    options.provider_options(device)  # what the device itself cannot do is refused
    near = nearest_with_estimate(device)
    staged = model_files.STAGED_NAME
    request = sessions.request(staged, near, options, shown=model.name, provider=profiling)
    with workers.Worker() as worker:
        model_files.stage(files, worker.scratch)
        worker.call(tasks.read_back, request)
        worker.require_space()
        profile = worker.scratch / PROFILE_FILE
        text = profile.read_text("utf-8", "replace") if profile.is_file() else ""
        yield files, worker.scratch, record(parse(text, model.name), device, near, request, "")


def record(
    figures: Figures,
    device: DeviceProfile,
    estimated_on: DeviceProfile,
    request: sessions.Request,
    label: str,
) -> EstimateRecord:
    """The figures as they go into a run's record."""
    return EstimateRecord(
        label=label,
        device=device.name,
        estimated_on=estimated_on.name,
        options=without_profiling(request.provider),
        **vars(figures),
    )


def without_profiling(options: Mapping[str, str]) -> dict[str, str]:
    """Provider options without those that only ask for the estimate."""
    return {name: value for name, value in options.items() if name not in PROFILING}


def parse(text: str, where: str = "") -> Figures:
    """Reads the estimates in a profile (the CSV file that the provider writes).

    Only the `Performance Estimates` blocks count: what comes from running on the simulator is not
    a time of any chip.

    Raises:
        UnansweredError: there is no whole estimate in it; only SoCs that have one are asked.
    """
    totals: Counter[str] = Counter()
    traffic: Counter[str] = Counter()
    blocks = 0
    for name, value, unit, level in _rows(text):
        if level == "ROOT":
            inside = name == _START
            blocks += inside
        elif not blocks or not inside:
            continue
        elif name in _FIGURES:
            totals[_FIGURES[name]] += value
        elif name.startswith(_MISSING):
            totals["missing_ops"] += value
        elif unit == "BYTES":
            traffic[name] += value
    if not blocks or not all(name in totals for name in _FIGURES.values()):
        raise UnansweredError(
            "The compiler gave no Performance Estimate, or not all of it.",
            where=where or None,
            hint=f"See whether there is space left for its files in {tempfile.gettempdir()}.",
        )
    return Figures(
        **{name: totals[name] for name in _FIGURES.values()},
        ddr_bytes=dict(traffic),
        missing_ops=totals["missing_ops"],
    )


def _rows(text: str) -> Iterable[tuple[str, int, str, str]]:
    """Name, value, unit and level of each whole row."""
    for row in csv.DictReader(io.StringIO(text)):
        value = row.get("Time") or ""
        name = row.get("Event Identifier") or ""
        if value.isdigit():
            yield name, int(value), row.get("Unit of Measurement") or "", row["Event Level"] or ""
