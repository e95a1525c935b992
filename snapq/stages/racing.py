"""Never slower: sets the estimate of the quantized model against that of the model at fp16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from snapq.devices.profiles import DeviceProfile, nearest_with_estimate
from snapq.errors import DeviceError, SnapqError
from snapq.stages.base import Context
from snapq.stages.judging import Stopwatch
from snapq.stages.quantizing import Order

if TYPE_CHECKING:
    from snapq.quantization.quantize import Quantized
    from snapq.quantization.scheme import NodePrecision
    from snapq.quantization.speed import Faster

_NAMED = 6


@dataclass(frozen=True)
class Kept:
    """What the stage goes on with.

    Attributes:
        quantized: the model.
        precision: its name, `w8a8`, `w8a8+fp16` or `fp16`.
        details: figures for the record.
    """

    quantized: Quantized
    precision: str
    details: dict[str, Any]


def timed_device(context: Context) -> DeviceProfile | None:
    """The target whose estimate counts: the first that has one, else the first.

    None where a target has no fp16, or there is no estimate that could stand for it.
    """
    if not all("fp16" in device.precisions for device in context.devices):
        return None
    own = [device for device in context.devices if device.has_estimate]
    device = (own or list(context.devices))[0]
    try:
        nearest_with_estimate(device, "fp16")
    except DeviceError:
        return None
    return device


def keep_fast(work: Order, result: Quantized, label: str, context: Context) -> Kept:
    """Leaves nodes in fp16 until the model is not slower than at fp16, by the estimate.

    Args:
        work: how the model was quantized.
        result: what came of it.
        label: name of its precision.
        context: of the run.
    """
    from snapq.qnn.availability import status
    from snapq.quantization.quantize import observe, quantize
    from snapq.quantization.speed import never_slower

    device, data = timed_device(context), context.calibration
    if device is None or data is None or not status().usable:
        return Kept(result, label, {})
    clock = Stopwatch(device, context)
    known: dict[str, Any] = {}

    def make(nodes: Mapping[str, NodePrecision]) -> Quantized:
        if not known:
            known.update(observe(work.model, work.feeds(data)))
        scheme = work.with_nodes(nodes).scheme
        return quantize(work.model, None, scheme, fixed=work.fixed, known=known)

    try:
        with context.progress.track("Compare with fp16"):
            found = never_slower(work.model, result, make, clock)
    except SnapqError as error:
        note = f"Not compared with fp16, so it may be slower: {error}"
        return Kept(replace(result, notes=(*result.notes, note)), label, {})
    details = _details(found, clock.estimated_on)
    if not found.floats:
        return Kept(result, label, details)
    # The trials were quantized the quick way; what stays is quantized with all that was asked for.
    chosen = found.quantized if found.everything else work.with_nodes(found.nodes).quantized(data)
    precision = "fp16" if found.everything else f"{label}+fp16"
    notes = (_note(found, label, str(clock.estimated_on)), *_own(chosen.notes))
    return Kept(replace(chosen, notes=notes), precision, details)


def _own(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Notes that do not only repeat which nodes were left in float here."""
    from snapq.quantization.speed import REASON

    return tuple(note for note in notes if REASON not in note)


def _details(found: Faster, estimated_on: str | None) -> dict[str, Any]:
    worst = sorted(found.excess.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    return {
        "estimated_on": estimated_on,
        "fp16_cycles": found.float_cost.cycles,
        "quantized_cycles": found.first.cycles,
        "kept_cycles": found.cost.cycles,
        "in_fp16": list(found.floats),
        "estimates": len(found.attempts) + 1,
        "slower_in_integers": {name: round(cycles) for name, cycles in worst}
        if found.floats
        else {},
    }


def _note(found: Faster, label: str, estimated_on: str) -> str:
    worst = sorted(found.excess.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    named = ", ".join(f"{name} (+{cycles:,.0f} cycles)" for name, cycles in worst)
    left = (
        "the whole model stays in fp16"
        if found.everything
        else f"{len(found.floats)} nodes stay in fp16 ({_few(found.floats)})"
    )
    return (
        f"All {label} would be slower than fp16: {found.first.us:,.1f} against "
        f"{found.float_cost.us:,.1f} µs estimated on {estimated_on}. What costs more in integers: "
        f"{named}. So {left}: {found.cost.us:,.1f} µs. `never_slower: false` quantizes all."
    )


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
