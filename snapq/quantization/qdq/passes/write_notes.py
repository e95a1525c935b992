"""Tells the reader which nodes differ from what was asked for, one note a cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from snapq.precision import ActivationType
from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.precision_rules.legality import FLOAT_FROM
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.plan import QdqPlan
from snapq.quantization.qdq.scheme import Source

__all__ = ["write_notes"]


def write_notes(plan: QdqPlan) -> QdqPlan:
    """Notes of what has other types than the scheme's, then of what has 16 bits by rule."""
    return replace(plan, notes=(*_deviations(plan), *_wide(plan), *plan.notes))


def _kind(source: Source | None) -> NoteKind:
    return NoteKind.ESTIMATE if source is Source.ESTIMATE else NoteKind.PRECISION


def _deviations(plan: QdqPlan) -> Iterator[Note]:
    causes: dict[tuple[str, NoteKind], list[str]] = {}
    for node, decision in plan.decisions.items():
        if decision.reason is not None:
            text = decision.reason + _consequence(decision, plan.scheme.architecture)
            causes.setdefault((text, _kind(decision.source)), []).append(str(node.name))
    for (text, kind), names in causes.items():
        yield Note(kind, tuple(names), f"{', '.join(names)}: {text}.")


def _consequence(decision: Decision, architecture: int) -> str:
    if decision.dtype is not None:
        return ""
    if decision.on_cpu:
        return "; it runs in float on the CPU"
    if architecture < FLOAT_FROM:
        return f"; v{architecture} has no float, so it runs on the CPU"
    return "; it stays in float, fp16 on the NPU"


def _wide(plan: QdqPlan) -> Iterator[Note]:
    wide = ActivationType.UINT16
    causes: dict[tuple[str, NoteKind], list[str]] = {}
    for node, decision in plan.decisions.items():
        own = plan.scheme.per_node.get(str(node.name))
        if own is None or own.source is Source.USER or own.activations is not wide:
            continue
        if decision.dtype is not None and decision.dtype.bits == wide.bits:
            causes.setdefault((own.reason, _kind(own.source)), []).append(str(node.name))
    for (reason, kind), names in causes.items():
        yield Note(kind, tuple(names), f"{', '.join(names)}: at 16 bits, as {reason}.")
