"""Boxes at 16 bits: as much of the way to them as takes at most 5 % more by the estimate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import inf, isfinite

from snapq.errors import SnapqError
from snapq.npu.runtime import status
from snapq.precision import ActivationType
from snapq.quantization.analysis.alone import lowered
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.box_decoding import box_decoding
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source
from snapq.quantization.quantize import observe, quantize
from snapq.stages.base import Context
from snapq.stages.quantize.job import QuantizationJob
from snapq.stages.quantize.never_slower import free_nodes
from snapq.stages.quantize.scoring import Estimator, estimated_device
from snapq.stages.quantize.weight_scales import Raced

__all__ = ["widen_boxes"]

_MOST = 1.05
"""How much of the time of all at 8 bits, without any rule, it may take."""
_SAMPLES = 4
_WIDE = NodePrecision(
    activations=ActivationType.UINT16,
    reason="boxes of 8 bits lie on too coarse a grid",
    source=Source.RULE,
)


def widen_boxes(job: QuantizationJob, context: Context) -> Raced:
    """Gives the nodes that make boxes 16 bits: of several choices the largest that is fast enough.

    It is the model quantized by ranges of a few samples alone that is estimated. Nothing is done
    where the rules are off, a device lacks 16 bits, or there is no estimate.
    """
    device, data = estimated_device(context), context.calibration
    if device is None or data is None or not job.scheme.keep_wide or not status().usable:
        return Raced(job)
    decoding = box_decoding(lowered(job.model).graph)
    choices = list(_choices(decoding, free_nodes(job, context))) if decoding else []
    if not choices:
        return Raced(job)
    estimate = Estimator(device, context)
    try:
        known = observe(job.model, list(islice(job.feeds(data), _SAMPLES)))

        def time(scheme: Scheme) -> float:
            made = quantize(job.model, None, scheme, fixed=job.fixed, known=known)
            return estimate(made.model).us

        with context.progress.track("Compare boxes of 16 bits with 8"):
            plain = time(replace(job.scheme, keep_wide=False))
            taken = [inf]
            for nodes in choices:
                taken.append(_known(time, job.with_nodes(nodes).scheme))
                if taken[-1] <= _MOST * plain:
                    break
    except SnapqError as error:
        if error.transient:
            return Raced(job, (str(error),))
        text = f"The arithmetic that makes boxes stays at 8 bits: 16 could not be tried, as {error}"
        return Raced(_told(job, text))
    on = f"estimated on {estimate.estimated_on}"
    if taken[-1] > _MOST * plain:
        return Raced(_told(job, _left(min(taken), plain, on)))
    text = (
        f"{len(nodes)} nodes that make boxes have 16 bits: {taken[-1]:,.1f} µs {on}, all at 8 bits "
        f"{plain:,.1f}. `precision_rules: false` leaves them at 8."
    )
    return Raced(_told(job.with_nodes(nodes), text, tuple(nodes)))


def _left(least: float, plain: float, on: str) -> str:
    """Why all stays at 8 bits."""
    left = "The arithmetic that makes boxes stays at 8 bits"
    if not isfinite(least):
        return f"{left}: the NPU does not take it at 16."
    return (
        f"{left}: with 16 the model would take {least:,.1f} µs {on}, with all at 8 {plain:,.1f}. "
        "`overrides` give it 16 all the same."
    )


def _told(job: QuantizationJob, text: str, nodes: tuple[str, ...] = ()) -> QuantizationJob:
    return replace(job, notes=(*job.notes, Note(NoteKind.PRECISION, nodes, text)))


def _known(time: Callable[[Scheme], float], scheme: Scheme) -> float:
    """The time of a scheme; infinite where it does not compile."""
    try:
        return time(scheme)
    except SnapqError as error:
        if error.transient:
            raise
        return inf


def _choices(
    decoding: Iterable[frozenset[str]], free: frozenset[str]
) -> Iterator[Mapping[str, NodePrecision]]:
    """The choices of the rule, without nodes of which the user says something."""
    told = set[frozenset[str]]()
    for names in decoding:
        chosen = names & free
        if chosen and chosen not in told:
            told.add(chosen)
            yield dict.fromkeys(sorted(chosen), _WIDE)
