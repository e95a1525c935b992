"""The candidates, and the fastest by Qualcomm's estimate and the cost of the host's part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snapq.classical.ensemble import Ensemble
from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.forest import Forest
from snapq.classical.trees.host_cost import host_us
from snapq.classical.trees.plan import Plan, Shape
from snapq.devices.profiles import DeviceProfile
from snapq.errors import ModelError, QnnError
from snapq.npu import model as npu
from snapq.progress import Advance

MOST_BYTES = 120_000_000
"""Weights beyond this take minutes to compile."""
_MOST_BLOCKS = 2500
"""So do more blocks than these: 9,000 of 32 leaves are not done in ten minutes."""
WIDTHS = (256, 192, 128, 64, 32)
"""Leaves a block to begin with: the first that is not too large."""
NEAR = (32, 64, 128, 192, 256, 384)
"""Leaves a block to try beside the best."""
_UNREACHED = 2
"""Leaves that no row reaches, or that add nothing, cost nothing: up to half may be such."""
_LINES = 8
"""The NPU computes with 8 lines of an image at a time."""
_HELD_BYTES = 7_000_000
"""On-chip memory that the conditions of a part and a batch may take: beyond it parts pay."""
COMPILATIONS = 10
"""About so many there are."""
_LARGE_BYTES = 12_000_000
"""Weights from which one compilation takes so long that only the number of parts is varied."""


@dataclass(frozen=True)
class Estimated:
    """A plan and what it is expected to take.

    Attributes:
        plan: how it is done.
        us: estimate, averaged over the devices, and host's part, microseconds a batch.
        npu_us: the estimate alone.
    """

    plan: Plan
    us: float
    npu_us: float


@dataclass(frozen=True)
class Candidate(Estimated):
    """A plan that was compiled.

    Attributes:
        model: the NPU's part, for the first of the devices.
    """

    model: npu.Model


Make = Callable[[Encoding, Shape], Plan]


def search(
    forest: Forest,
    encodings: Sequence[Encoding],
    make: Make,
    estimated: Callable[[Plan], Candidate],
    advance: Advance,
    *,
    refine: bool = True,
    scale: float = 1.0,
) -> list[Candidate]:
    """Estimates candidates: a first shape for each encoding, then variants of the best.

    Args:
        forest: the trees.
        encodings: how rows may enter.
        make: makes a plan for the trees.
        estimated: asks for its estimate.
        advance: told after each.
        refine: whether there is more than the first shapes.
        scale: the leaves of the forest that these trees stand for, by their own.

    Returns:
        All that could be estimated, the fastest first.

    Raises:
        ModelError: every candidate is too large.
        QnnError: none compiles.
    """
    searching = _Search(make, estimated, advance, forest.leaves, scale)
    size = min(searching.start(encoding) for encoding in encodings)
    if size * scale > MOST_BYTES:
        trees = sum(len(ensemble.roots) for ensemble in forest.ensembles)
        leaves = round(forest.leaves * scale)
        raise _too_large(forest.ensembles[0].name, trees, leaves, size * scale)
    for vary in (_widths, _lines, _parts, _widths) if refine else ():
        searching.refine(vary)
    for encoding in encodings if refine else ():
        searching.share_shape(encoding)
    return searching.found()


class _Search:
    """What was tried."""

    def __init__(
        self,
        make: Make,
        estimated: Callable[[Plan], Candidate],
        advance: Advance,
        leaves: int,
        scale: float,
    ) -> None:
        self._leaves = leaves
        self._most_bytes = MOST_BYTES / scale
        self._most_blocks = _MOST_BLOCKS / scale
        self._make = make
        self._estimated = estimated
        self._advance = advance
        self._tried: dict[tuple[str, Shape], Candidate | None] = {}
        self._errors: list[QnnError] = []

    def start(self, encoding: Encoding) -> int:
        """Tries the first width that is not too large; returns the bytes of the smallest."""
        sizes = []
        for width in WIDTHS:
            if self._leaves * width > self._most_bytes:
                sizes.append(self._leaves * width)
                continue
            if self._leaves > width * self._most_blocks:
                break
            shape = first_shape(self._make, encoding, width)
            sizes.append(self._make(encoding, shape).weight_bytes)
            if sizes[-1] <= self._most_bytes:
                self._attempt(encoding, shape)
                break
        return min(sizes)

    def refine(self, vary: Callable[[Plan], Iterator[Shape]]) -> None:
        """Tries the neighbours of the best."""
        best = self._best()
        if best is not None and (best.plan.weight_bytes < _LARGE_BYTES or vary is _parts):
            for shape in vary(best.plan):
                self._attempt(best.plan.encoding, shape)

    def share_shape(self, encoding: Encoding) -> None:
        """Tries another encoding in the shape of the best."""
        best = self._best()
        if best is not None:
            self._attempt(encoding, best.plan.shape)

    def found(self) -> list[Candidate]:
        """All with an estimate, the fastest first. Raises what stopped the first of none."""
        found = [candidate for candidate in self._tried.values() if candidate]
        if not found:
            raise self._errors[0]
        return sorted(found, key=lambda candidate: candidate.us)

    def _best(self) -> Candidate | None:
        found = [candidate for candidate in self._tried.values() if candidate]
        return min(found, key=lambda candidate: candidate.us, default=None)

    def _attempt(self, encoding: Encoding, shape: Shape) -> None:
        key = (encoding.form.value, shape)
        if key in self._tried:
            return
        self._tried[key] = None
        plan = self._make(encoding, shape)
        blocks = sum(len(part.blocks) for part in plan.parts)
        if plan.weight_bytes > self._most_bytes or blocks > self._most_blocks:
            return
        try:
            self._tried[key] = self._estimated(plan)
        except QnnError as error:
            if error.transient:
                raise
            self._errors.append(error)
        self._advance(1)


def first_shape(make: Make, encoding: Encoding, width: int) -> Shape:
    """The likely best shape of a width: 8 lines, and parts whose conditions fit on the chip."""
    shape = Shape(width, 1, 1)
    plan = make(encoding, shape)
    height = _LINES if plan.batch >= _LINES else 1
    channels = sum(len(part.blocks) * part.conditions for part in plan.parts)
    parts = math.ceil(plan.batch * channels / _HELD_BYTES)
    most = max(len(plan.forest.trees), 1)
    return replace(shape, parts=min(parts, most), height=height)


def estimate(plan: Plan, devices: Sequence[DeviceProfile], memory: npu.Memory) -> Candidate:
    """Asks for the estimate of a plan on each device.

    Raises:
        QnnError: it does not compile.
    """
    model = plan.model()
    models = [npu.Model(model, device, memory=memory) for device in devices]
    figures = [one.estimate().us for one in models]
    npu_us = sum(figures) / len(figures)
    return Candidate(plan, npu_us + host_us(plan), npu_us, models[0])


def _widths(plan: Plan) -> Iterator[Shape]:
    place = NEAR.index(plan.shape.width)
    for width in NEAR[max(place - 1, 0) : place + 2]:
        yield replace(plan.shape, width=width)


def _lines(plan: Plan) -> Iterator[Shape]:
    for height in (1, 16):
        if height <= plan.batch:
            yield replace(plan.shape, height=height)


def _parts(plan: Plan) -> Iterator[Shape]:
    parts = plan.shape.parts
    for count in sorted({1, parts - 1, parts + 1, 2 * parts}):
        if 1 <= count <= len(plan.forest.trees):
            yield replace(plan.shape, parts=count)


def check_size(ensembles: Sequence[Ensemble]) -> None:
    """Refuses what no way of cutting makes small enough, before any time is spent on it.

    Raises:
        ModelError: there are far too many leaves.
    """
    leaves = sum(_leaves(ensemble) for ensemble in ensembles)
    width = next((w for w in WIDTHS[::-1] if leaves <= w * _MOST_BLOCKS), max(WIDTHS))
    if leaves * width > _UNREACHED * MOST_BYTES:
        trees = sum(len(ensemble.roots) for ensemble in ensembles)
        raise _too_large(ensembles[0].name, trees, leaves, leaves * width)


def _leaves(ensemble: Ensemble) -> int:
    """Leaves of all trees; one that two trees share counts twice."""
    count, front = 0, ensemble.roots
    while len(front):
        inner = front[ensemble.condition[front] >= 0]
        count += len(front) - len(inner)
        front = np.concatenate([ensemble.on_true[inner], ensemble.on_false[inner]])
    return count


def _too_large(name: str, trees: int, leaves: int, size: float) -> ModelError:
    return ModelError(
        f"{trees:,} trees with {leaves:,} leaves would take {size / 1e6:,.0f} MB on the NPU, more "
        f"than the {MOST_BYTES / 1e6:.0f} MB that are compiled in reasonable time.",
        where=name,
        hint="Leave the model on the CPU, or prune the trees or limit their depth in training.",
    )
