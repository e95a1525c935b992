"""Never slower: sets the estimate of the model at 8 bits against 16 bits, and against fp16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from snapq.errors import SnapqError
from snapq.npu.runtime import status
from snapq.precision import SMALLEST_FLOAT16, ActivationType, precision_name
from snapq.quantization.analysis.alone import lowered
from snapq.quantization.mixed_precision.faster_at_16_bits import Widened, faster_at_16_bits
from snapq.quantization.mixed_precision.never_slower import Faster, never_slower, too_small_for_fp16
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Quantized, observe, quantize
from snapq.stages.base import Context
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.scoring import Estimator, timed_device

if TYPE_CHECKING:
    from snapq.devices.profiles import DeviceProfile

_NAMED = 6


@dataclass(frozen=True)
class Kept:
    """What the stage goes on with.

    Attributes:
        quantized: the model.
        precision: its name, `w8a8`, `w8a8+w8a16`, `w8a8+fp16` or `fp16`.
        details: figures for the record.
        failures: what failed; nothing that was decided without it is kept.
    """

    quantized: Quantized
    precision: str
    details: dict[str, Any]
    failures: tuple[str, ...] = ()


def keep_fast(job: QuantizationJob, result: Quantized, label: str, context: Context) -> Kept:
    """Gives nodes the precision in which they are quickest, by the estimate.

    Nodes of 8 bits that 16 bits make faster get these. Where the model is slower than at fp16 even
    so, nodes stay in fp16 until it is not.
    """
    device, data = timed_device(context), context.calibration
    if device is None or data is None or not status().usable:
        return Kept(result, label, {})
    small = too_small_for_fp16(job.model, result)
    if small is not None:
        note = _told(f"Not compared with fp16, which begins at {SMALLEST_FLOAT16:.1e}: {small}.")
        return Kept(replace(result, notes=(*result.notes, note)), label, {})
    estimate = Estimator(device, context)
    known: dict[str, Any] = {}
    wide: dict[str, NodePrecision] = {}

    def make(nodes: Mapping[str, NodePrecision]) -> Quantized:
        if not known:
            known.update(observe(job.model, job.feeds(data)))
        scheme = job.with_nodes({**wide, **nodes}).scheme
        return quantize(job.model, None, scheme, fixed=job.fixed, known=known)

    try:
        with context.progress.track("Compare with 16 bits and fp16"):
            free = free_nodes(job, context)
            faster = None
            if free:
                at_fp16 = estimate(job.model)
                faster = faster_at_16_bits(result, free, make, estimate, at_fp16)
            if faster is not None:
                wide.update(faster.nodes)
            start = result if faster is None else faster.quantized
            found = never_slower(job.model, start, make, estimate)
    except SnapqError as error:
        note = _told(f"Not compared with 16 bits and fp16, so it may be slower: {error}")
        failures = (str(note),) if error.transient else ()
        return Kept(replace(result, notes=(*result.notes, note)), label, {}, failures)
    details = _details(found, estimate.estimated_on, faster)
    if not wide and not found.floats:
        return Kept(result, label, details)
    # Trials were quantized by ranges alone; what stays is quantized with all that was asked for.
    nodes = {**wide, **found.nodes}
    chosen = found.quantized if found.everything else job.with_nodes(nodes).quantized(data)
    # What is told here in full says the nodes that are at 16 bits or in float by the estimate.
    notes = tuple(note for note in chosen.notes if note.kind is not NoteKind.ESTIMATE)
    if found.floats:
        told = _note(found, faster, label, str(estimate.estimated_on))
        notes = (_told(told + _in_codes(found, start, label, device, context)), *notes)
    if faster is not None and details["at_16_bits"]:
        notes = (_told(_wide_note(faster, label, str(estimate.estimated_on))), *notes)
    wider = precision_name(job.scheme.weights, ActivationType.UINT16)
    parts = (label, wider if details["at_16_bits"] else "", "fp16" if found.floats else "")
    precision = "fp16" if found.everything else "+".join(filter(None, parts))
    return Kept(replace(chosen, notes=notes), precision, details)


def free_nodes(job: QuantizationJob, context: Context) -> frozenset[str]:
    """Nodes that may have 16 bits in place of 8: those of which the user says nothing.

    There are none where other bits are asked for, or a target lacks 16.
    """
    scheme = job.scheme
    wide = precision_name(scheme.weights, ActivationType.UINT16)
    if scheme.activations is not ActivationType.UINT8:
        return frozenset()
    if not all(wide in device.precisions for device in context.devices):
        return frozenset()
    names = {str(node.name) for node in lowered(job.model).graph}
    return frozenset(names - scheme.per_node.keys())


def _told(text: str) -> Note:
    return Note(NoteKind.ESTIMATE, (), text)


def _details(found: Faster, estimated_on: str | None, faster: Widened | None) -> dict[str, Any]:
    worst = sorted(found.excess.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    wide = () if faster is None or found.everything else faster.nodes
    return {
        "estimated_on": estimated_on,
        "fp16_cycles": found.float_cost.cycles,
        "quantized_cycles": (found if faster is None else faster).first.cycles,
        "kept_cycles": found.cost.cycles,
        "at_16_bits": [name for name in wide if name not in found.floats],
        "in_fp16": list(found.floats),
        "estimates": len(found.attempts) + 1 + (0 if faster is None else faster.estimates),
        "slower_in_integers": {name: round(cycles) for name, cycles in worst}
        if found.floats
        else {},
    }


def _note(found: Faster, faster: Widened | None, label: str, estimated_on: str) -> str:
    first = found.first if faster is None else faster.first
    worst = sorted(found.excess.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]
    named = ", ".join(f"{name} (+{cycles:,.0f} cycles)" for name, cycles in worst)
    left = (
        "the model stays in fp16"
        if found.everything
        else f"{len(found.floats)} nodes stay in fp16 ({_few(found.floats)})"
    )
    return (
        f"All {label} would be slower than fp16: {first.us:,.1f} against "
        f"{found.float_cost.us:,.1f} µs estimated on {estimated_on}. What costs more in integers: "
        f"{named}. So {left}: {found.cost.us:,.1f} µs. `never_slower: false` quantizes all."
    )


def _in_codes(
    found: Faster, quantized: Quantized, label: str, device: DeviceProfile, context: Context
) -> str:
    """Says what codes at the boundary would take, where floats there make fp16 the quickest."""
    plan = context.boundary
    if not found.everything or plan is None or plan.in_codes() == plan:
        return ""
    try:
        cost = Estimator(device, context, plan.in_codes())(quantized.model)
    except SnapqError:
        return ""
    if cost.cycles >= found.cost.cycles:
        return ""
    return (
        f" With codes in and out (`io: {{dtype: quantized}}`) all {label} takes {cost.us:,.1f} µs."
    )


def _wide_note(faster: Widened, label: str, estimated_on: str) -> str:
    count = "1 node has" if len(faster.nodes) == 1 else f"{len(faster.nodes)} nodes have"
    return (
        f"{count} 16 bits because the NPU takes less time for that than for 8 "
        f"({_few(tuple(faster.nodes))}): {faster.cost.us:,.1f} µs estimated on {estimated_on}, "
        f"all {label} {faster.first.us:,.1f}. `never_slower: false` leaves them."
    )


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
