"""Structured pruning from end to end: find, rank, choose, cut, check, repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx_ir as ir

from snapq.config import Importance
from snapq.errors import ModelError
from snapq.pruning import importance
from snapq.pruning.axes import Ids
from snapq.pruning.budget import Limits, Plan, Price, Size, greedy, removed
from snapq.pruning.check import check, some_input
from snapq.pruning.groups import Fixed, Structure, find
from snapq.pruning.importance import Ranking
from snapq.pruning.repair import Repaired, damaged, repair
from snapq.pruning.sites import Site, sites
from snapq.pruning.statistics import Samples, moments, passes
from snapq.pruning.surgery import cut, stays


class Tracker(Protocol):
    """Opens a progress bar, as `snapq.progress.Progress.track`."""

    def __call__(
        self, title: str, total: int | None = None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Opens it for `total` items."""


@dataclass(frozen=True)
class Layer:
    """Output channels of one layer before and after."""

    node: str
    operator: str
    before: int
    after: int


@dataclass(frozen=True)
class Pruned:
    """A pruned model and how it came to be.

    Attributes:
        model: the pruned and repaired model.
        cut: the same before the repair; None where nothing was repaired.
        structure: the channels of the original.
        removed: the labels that were cut.
        layers: channels of each layer that lost some.
        repaired: what the repair did, layer by layer.
        macs: multiply-accumulates before and after.
        bytes: bytes of constants before and after.
        reached: whether the target was reached.
        difference: what the check of the cut found.
    """

    model: ir.Model
    cut: ir.Model | None
    structure: Structure
    removed: Ids
    layers: tuple[Layer, ...]
    repaired: tuple[Repaired, ...]
    macs: tuple[int, int]
    bytes: tuple[int, int]
    reached: bool
    difference: float

    @property
    def fixed(self) -> tuple[Fixed, ...]:
        """Layers of which nothing could be cut, and why."""
        return self.structure.fixed


Target = Callable[[Size, Sequence[Ranking]], tuple[Price, float]]
"""Gives what a plan costs, and the cost to reach."""


def prune(
    model: ir.Model,
    target: Target,
    *,
    by: Importance,
    limits: Limits,
    keep: Sequence[str] = (),
    samples: Samples | None = None,
    mend: bool = True,
    track: Tracker,
) -> Pruned:
    """Cuts channels until the target is reached, and repairs the layers behind.

    Args:
        model: a prepared model, float or with Q/DQ; left as it is.
        target: see `share_of_macs`, `at_most_macs`, `at_most_bytes`.
        by: how channels are ranked.
        limits: what every cut keeps to.
        keep: names of nodes whose channels stay.
        samples: calibration samples; needed except for magnitude without repair.
        mend: whether to repair.
        track: told what goes on.

    Raises:
        ModelError: nothing can be cut; a name in `keep` is no node; the cut fails its check.
        DataError: a sample does not fit, or there is none.
    """
    structure = find(model)
    places = sites(structure)
    rankings = rank(structure, places, by, samples, track)
    rankings = without(structure, rankings, keep)
    if not rankings:
        raise ModelError(
            "No channel of this model can be cut.",
            where="stages.prune",
            mend=_why(structure.fixed) or "It has no layer with more than one channel inside.",
        )
    size = Size(structure)
    price, goal = target(size, rankings)
    plan: Plan = {}
    with track("Choose channels") as advance:
        for plan in greedy(rankings, limits, price, goal):  # noqa: B007
            advance(1)
    gone = removed(rankings, plan)
    result = cut(structure, gone)
    feeds = some_input(model) if samples is None else next(iter(samples()))
    difference = check(structure, result, gone, feeds)
    before = None
    repaired: tuple[Repaired, ...] = ()
    broken = damaged(structure, gone, places) if mend and samples is not None else ()
    if broken and samples is not None:
        before = result.clone()
        with track("Repair layers", len(broken)) as advance:
            repaired = repair(structure, result, gone, places, samples, advance)
    return Pruned(
        model=result,
        cut=before,
        structure=structure,
        removed=gone,
        layers=layers(structure, gone),
        repaired=repaired,
        macs=(size.macs([]), size.macs(gone)),
        bytes=(size.bytes([]), size.bytes(gone)),
        reached=price(plan) <= goal,
        difference=difference,
    )


def share_of_macs(ratio: float) -> Target:
    """The target to take this share of the multiply-accumulates away."""

    def target(size: Size, rankings: Sequence[Ranking]) -> tuple[Price, float]:
        return _priced(size.macs, rankings), (1 - ratio) * size.macs([])

    return target


def at_most_macs(macs: int) -> Target:
    """The target to have at most so many multiply-accumulates."""
    return lambda size, rankings: (_priced(size.macs, rankings), macs)


def at_most_bytes(count: int) -> Target:
    """The target to have at most so many bytes of constants."""
    return lambda size, rankings: (_priced(size.bytes, rankings), count)


def _priced(measure: Callable[[Ids], int], rankings: Sequence[Ranking]) -> Price:
    return lambda plan: measure(removed(rankings, plan))


def rank(
    structure: Structure,
    places: Sequence[Site],
    by: Importance,
    samples: Samples | None,
    track: Tracker,
) -> tuple[Ranking, ...]:
    """Ranks the channels of every group; reads the samples where the way needs them."""
    if by is Importance.MAGNITUDE or samples is None:
        return importance.magnitude(structure)
    count = sum(1 for _ in samples()) * passes(places)
    with track("Watch channels", count) as advance:
        seen = moments(structure.model, places, samples, advance)
    ways = {
        Importance.ACTIVATION: importance.activation_weighted,
        Importance.SECOND_ORDER: importance.second_order,
    }
    return ways[by](structure, places, seen)


def without(
    structure: Structure, rankings: Sequence[Ranking], keep: Sequence[str]
) -> tuple[Ranking, ...]:
    """The rankings of groups that none of these nodes makes.

    Raises:
        ModelError: a name is no node of the model.
    """
    names = {str(node.name) for node in structure.model.graph}
    for name in keep:
        if name not in names:
            raise ModelError(
                f"The prepared model has no node '{name}'.",
                where="stages.prune.keep",
                mend="`snapq inspect MODEL` lists the nodes.",
            )
    barred = set(keep)
    return tuple(ranking for ranking in rankings if not barred & set(ranking.group.makers))


def layers(structure: Structure, gone: Ids) -> tuple[Layer, ...]:
    """Output channels of each layer with a weight that loses some, in the model's order."""
    kept = stays(structure, gone)
    found = []
    for node in structure.model.graph:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        ids = structure.ids[str(node.outputs[0].name)]
        axis = 1 if node.op_type.startswith("Conv") else len(ids) - 1
        after = int(np.count_nonzero(kept[ids[axis]]))
        if after < len(ids[axis]):
            found.append(Layer(str(node.name), node.op_type, len(ids[axis]), after))
    return tuple(found)


def _why(fixed: Sequence[Fixed]) -> str:
    return "; ".join(f"{item.node}: {item.reason}" for item in fixed[:3])
