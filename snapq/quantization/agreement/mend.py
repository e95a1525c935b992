"""Finds where the NPU computes a model wrongly, and writes these nodes so that it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.errors import SnapqError
from snapq.npu.model import Model
from snapq.quantization.agreement.compare import Agreement
from snapq.quantization.agreement.locate import Bench, Located, Search, locate, on_cpu
from snapq.quantization.agreement.mends import MENDS, Mend

__all__ = ["Change", "Mended", "mend"]

Array = np.ndarray[Any, np.dtype[Any]]
Outputs = Mapping[str, Array]

_ROUNDS = 8
"""Faults that are looked for, one after the other."""
_HELPS_DB = 6.0
_NEAR_DB = 6.0
"""Among what is that near to the best, the cheapest counts."""
_ENOUGH_DB = 60.0
"""What is nearer to the CPU than this is no better for it."""
_COMPARED = 3
"""So many mends that help are compared by what they cost."""


@dataclass(frozen=True)
class Change:
    """A node that was written otherwise.

    Attributes:
        located: where the NPU and the CPU parted.
        nodes: the nodes that were changed: that one, or what runs with it, and those like it.
        text: what was done.
        before_db: SQNR of the NPU against the CPU where they parted, in dB.
        after_db: the same afterwards.
    """

    located: Located
    nodes: tuple[str, ...]
    text: str
    before_db: float
    after_db: float

    def __str__(self) -> str:
        shown = ", ".join(f"'{name}'" for name in self.nodes[:8])
        more = f" and {len(self.nodes) - 8} more" if len(self.nodes) > 8 else ""
        return (
            f"The NPU computes {self.located} wrongly ({_decibels(self.before_db)} from the CPU's "
            f"values). Each of {shown}{more} {self.text}, which gives {_decibels(self.after_db)}."
            if len(self.nodes) > 1
            else f"The NPU computes {self.located} wrongly ({_decibels(self.before_db)} from the "
            f"CPU's values). {shown} {self.text}, which gives {_decibels(self.after_db)}."
        )


@dataclass(frozen=True)
class Mended:
    """A model that was searched.

    Attributes:
        model: the model with what helps; the one given where nothing does.
        changes: what was done.
        findings: how the model that is left compares, group by group.
        left: where the NPU and the CPU part still; None where they do not, or no node shows it.
    """

    model: ir.Model
    changes: tuple[Change, ...]
    findings: tuple[Agreement, ...]
    left: Located | None

    @property
    def faults(self) -> tuple[Agreement, ...]:
        """The groups that are off still."""
        return tuple(one for one in self.findings if one.finding.faulty)


def mend(
    model: ir.Model,
    bench: Bench,
    reference: Sequence[Outputs] | None,
    *,
    float16: bool = False,
    search_only: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Mended:
    """Looks for nodes that the NPU computes wrongly, and tries the known ways around.

    Args:
        model: a Q/DQ or float model with float inputs and outputs; left as it is.
        bench: where it runs; its feeds are the model's.
        reference: the float model's outputs of the same samples, where there is one.
        float16: whether the model is a float one.
        search_only: find the first such node, and change nothing.
        say: told what goes on.
    """
    truth = on_cpu(model, bench.feeds)
    changes: list[Change] = []
    left: Located | None = None
    findings = bench.findings(model, bench.feeds, truth, reference, float16=float16)
    for _ in range(_ROUNDS):
        faults = [one for one in findings if one.finding.faulty]
        if not faults:
            break
        worst = min(one.agreement_db for one in faults)
        found = locate(model, bench, worst, say)
        if found is None:
            break
        search, left = found
        best = None if search_only else _best(search, left, say)
        if best is None:
            break
        after: tuple[Agreement, ...] | None = None
        for nodes in ((*best.nodes, *_alike(model, best.nodes)), best.nodes):
            changed = _applied(model, nodes, best.mend)
            with suppress(SnapqError):  # the NPU took it by itself, and not in the whole model
                after = bench.findings(changed, bench.feeds, truth, reference, float16=float16)
                break
        if after is None or _worst(after) <= _worst(findings) + 0.5:
            break
        text = best.mend.text
        changes.append(Change(left, nodes, text, left.agreement_db, best.agreement_db))
        model, findings, left = changed, after, None
    return Mended(model, tuple(changes), findings, left)


@dataclass(frozen=True)
class _Candidate:
    mend: Mend
    nodes: tuple[str, ...]
    agreement_db: float
    cycles: float


def _worst(findings: Sequence[Agreement]) -> float:
    return min((one.agreement_db for one in findings if one.finding.faulty), default=120.0)


def _best(search: Search, located: Located, say: Callable[[str], None]) -> _Candidate | None:
    """The cheapest of the mends that help most; None where none does."""
    feeds, truth = search.cpu_values(located.part)
    helpful: list[_Candidate] = []
    for mend_, nodes in _candidates(located, search.bench):
        if len(helpful) >= _COMPARED and min(c.agreement_db for c in helpful) > _ENOUGH_DB:
            break
        try:
            part = located.part.of(_applied(search.parts.model, nodes, mend_))
            say(f"Trying whether it helps that {', '.join(nodes)} {mend_.text}")
            near = search.bench.agreement(part, feeds, truth)
        except _NothingToDoError:
            continue
        except SnapqError:  # the NPU does not take it so
            continue
        if near > max(search.limit, located.agreement_db + _HELPS_DB):
            helpful.append(_Candidate(mend_, nodes, near, _cycles(search.bench, part)))
    if not helpful:
        return None
    best = max(min(one.agreement_db, _ENOUGH_DB) for one in helpful)
    good = [one for one in helpful if min(one.agreement_db, _ENOUGH_DB) >= best - _NEAR_DB]
    return min(good, key=lambda one: one.cycles)


def _candidates(located: Located, bench: Bench) -> Iterator[tuple[Mend, tuple[str, ...]]]:
    """Mends of single nodes, the one that is off first, and of all that run together."""
    region = tuple(reversed(located.region))
    for one in MENDS:
        if one.float16 and "fp16" not in bench.device.precisions:
            continue
        yield from ((one, (name,)) for name in region)
        if one.whole and len(region) > 1:
            yield one, tuple(reversed(region))


class _NothingToDoError(Exception):
    """A mend is not for a node."""


def _applied(model: ir.Model, nodes: Sequence[str], mend_: Mend) -> ir.Model:
    """A copy with some nodes changed. Raises `_NothingToDoError` where one cannot be."""
    copy = model.clone()
    named = {node.name: node for node in copy.graph}
    for name in nodes:
        if not mend_.apply(copy.graph, named[name]):
            raise _NothingToDoError
    return copy


def _alike(model: ir.Model, nodes: Sequence[str]) -> tuple[str, ...]:
    """Nodes of the same kind as a single one that is changed, which are off too in all likelihood.

    They have its operator, its place behind the same operators, and its map's height and width.
    """
    if len(nodes) != 1:
        return ()
    named = {node.name: node for node in model.graph}
    looks = _look(named[nodes[0]])
    return tuple(
        str(node.name) for node in model.graph if node.name != nodes[0] and _look(node) == looks
    )


def _look(node: ir.Node) -> tuple[object, ...]:
    shape = node.outputs[0].shape
    sizes = tuple(shape.dims) if shape is not None else ()
    return node.op_type, _behind(node), sizes[2:] if len(sizes) > 2 else sizes


def _behind(node: ir.Node) -> tuple[str, ...]:
    """The operators that a node's inputs come from, through Q and DQ."""
    found = []
    for value in node.inputs:
        made = value.producer() if value is not None else None
        while made is not None and made.op_type in ("QuantizeLinear", "DequantizeLinear"):
            given = made.inputs[0]
            made = given.producer() if given is not None else None
        found.append(made.op_type if made is not None else "")
    return tuple(found)


def _cycles(bench: Bench, part: ir.Model) -> float:
    """What a part costs by the estimate; all alike where there is none."""
    try:
        return float(Model(part, bench.device, memory=bench.memory).estimate().cycles)
    except SnapqError:
        return 0.0


def _decibels(value: float) -> str:
    return "other values each time" if value <= -120.0 else f"{value:.1f} dB"
