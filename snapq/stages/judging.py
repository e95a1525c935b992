"""Judged passes of the prepare stage: which of them to leave out, asked of what would be packaged.

A pass of `JUDGED` makes some networks faster and others slower, and one chip differs from the next.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError, SnapqError
from snapq.graph import boundary, io
from snapq.graph.passes.order import JUDGED
from snapq.npu.judged.right import worse
from snapq.npu.judged.search import (
    MOST_LOSS,
    Chosen,
    Costs,
    Found,
    WholeFigures,
    fastest,
    side_by_side,
)
from snapq.npu.memory import Memory
from snapq.npu.model import Deferred, Model
from snapq.npu.runtime import status
from snapq.records import EstimateRecord
from snapq.stages.base import Context
from snapq.stages.estimating import as_packaged, at_precision

__all__ = ["Judged", "judge_passes"]

Array = np.ndarray[Any, np.dtype[Any]]
_KEYS = ("left_out", "without")
"""Of the record: the change is that a pass does not apply."""
Make = Callable[[Chosen], Path]
"""Prepares the network without some passes, and gives the file."""


@dataclass(frozen=True)
class Judged:
    """What came of judging.

    Attributes:
        left_out: the passes without which the network is prepared.
        apart: whether some device would be faster in another form than all of them together.
        notes: for the reader.
        details: for the record.
        failures: why nothing was judged, where another time may tell.
    """

    left_out: Chosen = ()
    apart: bool = False
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] | None = None
    failures: tuple[str, ...] = ()


def judge_passes(applied: Mapping[str, int], make: Make, tries: int, context: Context) -> Judged:
    """Leaves out the passes without which the network is faster on the run's devices.

    Nothing is judged where nothing can be estimated: without Qualcomm's compiler, or devices.

    Args:
        applied: how often each pass applied in the network as it is prepared.
        make: prepares it without some of them.
        tries: how many forms may be estimated for each device.
        context: of the run.
    """
    names = [name for name in JUDGED if applied.get(name)]
    devices = _devices(context) if names and tries > 1 else ()
    if not devices or not status().usable:
        return Judged()
    try:
        with context.progress.track("Judge passes by the estimate"):
            found = fastest(names, _Asking(make, devices, context), tries)
            if found.chosen and (why := _worse(make, found.chosen, devices, context)):
                return Judged(notes=(why,), details={**found.details(*_KEYS), _KEYS[0]: []})
    except SnapqError as error:
        failures = (str(error),) if error.transient else ()
        note = f"Passes are not judged, so the network may be slower than it was: {error}"
        return Judged(notes=(note,), failures=failures)
    apart = found.costs is not None and any(
        cost > found.best_of(device) * (1 + MOST_LOSS) for device, cost in found.costs.items()
    )
    return Judged(found.chosen, apart, (_note(found),), found.details(*_KEYS))


def _devices(context: Context) -> tuple[DeviceProfile, ...]:
    """Those whose estimates stand for the run's devices, each once."""
    found: dict[str, DeviceProfile] = {}
    for device in context.devices or ():
        if context.quantize is None and "fp16" not in device.precisions:
            continue
        try:
            near = nearest_with_estimate(device)
        except DeviceError:
            continue
        found[near.name] = near
    return tuple(found.values())


class _Asking:
    """Estimates forms of the network for every device, side by side."""

    def __init__(self, make: Make, devices: Sequence[DeviceProfile], context: Context) -> None:
        self._make, self._devices, self._context = make, devices, context
        self._memory = Memory(context.memo)
        self._parts = _marks(context)
        self._one = threading.Lock()
        self._whole = WholeFigures()

    def __call__(self, forms: Sequence[Chosen]) -> list[Costs | SnapqError]:
        # Networks are prepared in copies of this process, which must not have threads by then.
        files = [self._made(chosen) for chosen in forms]
        asked = [(file, device) for file in files for device in self._devices]
        answers = side_by_side(lambda one: self._estimate(*one), asked)
        count = len(self._devices)
        return [self._costs(answers[at : at + count]) for at in range(0, len(answers), count)]

    def _made(self, chosen: Chosen) -> Path | SnapqError:
        try:
            return self._make(chosen)
        except SnapqError as error:
            return error

    def _estimate(
        self, file: Path | SnapqError, device: DeviceProfile
    ) -> EstimateRecord | SnapqError:
        if isinstance(file, SnapqError):
            return file

        def packaged() -> ir.Model:
            with self._one:  # each takes all processors
                return as_packaged(io.load(file), self._context)

        try:
            key = json.dumps([io.digest(io.load(file)), self._parts], default=str)
            source = Deferred(key, packaged)
            return Model(source, device, memory=self._memory).estimate("candidate")
        except SnapqError as error:
            return error

    def _costs(self, answers: Sequence[EstimateRecord | SnapqError]) -> Costs | SnapqError:
        found: dict[str, EstimateRecord] = {}
        for device, answer in zip(self._devices, answers, strict=True):
            if isinstance(answer, SnapqError):
                return answer
            found[device.name] = answer
        return self._whole.costs(found)


def _marks(context: Context) -> list[Any]:
    """What an estimate depends on beside the prepared network."""
    return [
        context.quantize and context.quantize.model_dump(mode="json"),
        context.boundary and context.boundary.to_json(),
        context.calibration and context.calibration.fingerprint(),
        [vars(one) for one in context.devices],
    ]


def _worse(
    make: Make, chosen: Chosen, devices: Sequence[DeviceProfile], context: Context
) -> str | None:
    """Why a form is not kept: the simulator gives other values; None where it gives the same."""
    forms = [at_precision(io.load(make(one)), context) for one in ((), chosen)]
    feeds = _feeds(context, forms[0])
    plain = io.load(make(()))
    if context.boundary is not None:
        plain = boundary.fold_normalization(plain, context.boundary)
    truth = CpuModel(plain).run(feeds)
    for device in devices:
        usual, other = (list(Model(form, device).simulate([feeds])) for form in forms)
        if (reason := worse([truth], usual, other)) is not None:
            names = ", ".join(chosen)
            return f"Kept, although it would be faster without: {names}. On {device.name} {reason}."
    return None


def _feeds(context: Context, model: ir.Model) -> dict[str, Array]:
    """What the network takes of the first sample; random numbers where there is none."""
    if context.calibration is not None:
        for sample in islice(context.calibration, 1):
            plan = context.boundary
            return dict(sample.feeds if plan is None else plan.model_feeds(sample))
    generator = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for value in model.graph.inputs:
        assert value.dtype is not None
        assert value.shape is not None
        shape, dtype = value.shape.numpy(), value.dtype.numpy()
        drawn = generator.standard_normal(shape) if np.issubdtype(dtype, np.floating) else None
        found[str(value.name)] = np.zeros(shape, dtype) if drawn is None else drawn.astype(dtype)
    return found


def _note(found: Found) -> str:
    """What was tried, in a sentence or two."""
    parts = []
    if found.chosen:
        parts.append(f"Left out, as it is faster so: {', '.join(found.chosen)}: {found.gains()}.")
    if found.left:
        parts.append(f"Tried without, and kept: {', '.join(found.left)}.")
    if found.untried:
        parts.append(f"Kept untried, for want of tries: {', '.join(found.untried)}.")
    return " ".join(parts)
