"""Structured pruning from end to end: find, rank, choose, cut, check, repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError, did_you_mean
from snapq.operators import Trait, spec
from snapq.progress import Progress
from snapq.pruning import importance
from snapq.pruning.axes import Ids
from snapq.pruning.blas import one_thread
from snapq.pruning.budget import Limits, Plan, Size, greedy, removed
from snapq.pruning.check import check, some_input
from snapq.pruning.groups import Structure, find
from snapq.pruning.importance import Ranking
from snapq.pruning.repair import Repaired, damaged, repair
from snapq.pruning.sensitivity import sensitivities, weigh
from snapq.pruning.sites import sites
from snapq.pruning.statistics import Samples, moments, passes, read_once
from snapq.pruning.surgery import cut, stays
from snapq.pruning.timing import Estimate, Watch, fit
from snapq.ranking import Importance


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
        chosen: how much was cut where, and towards what goal.
        structure: the channels of the original.
        removed: the labels that were cut.
        layers: channels of each layer that lost some.
        repaired: what the repair did, layer by layer.
        macs: multiply-accumulates before and after.
        bytes: bytes of constants before and after.
        difference: what the check of the cut found.
    """

    model: ir.Model
    cut: ir.Model | None
    chosen: Chosen
    structure: Structure
    removed: Ids
    layers: tuple[Layer, ...]
    repaired: tuple[Repaired, ...]
    macs: tuple[int, int]
    bytes: tuple[int, int]
    difference: float


@dataclass(frozen=True)
class Chosen:
    """What to cut, and how near that comes to the goal.

    Attributes:
        plan: number of channels to cut by group.
        unit: what the goal counts: `macs`, `bytes`, `us`.
        goal: what the model may cost.
        whole: what the whole model costs.
        found: what the cut one costs.
        probes: candidate cuts that were measured for it.
    """

    plan: Plan
    unit: str
    goal: float
    whole: float
    found: float
    probes: int = 0

    @property
    def reached(self) -> bool:
        """Whether the goal was reached."""
        return self.found <= self.goal


Rank = Callable[[Structure, Samples | None, Progress], tuple[Ranking, ...]]
"""Ranks the channels of every group, see `ranked_by`."""
Losses = Callable[[Structure, Samples, Progress], tuple[Ranking, ...]]
"""Ranks them by losses in a unit of its own."""
Ranked = list[dict[str, Any]]
"""Rankings as JSON values."""
Recall = Callable[
    [Callable[[], Ranked], Callable[[Ranked], tuple[Ranking, ...]]], tuple[Ranking, ...]
]
"""Takes what makes rankings and what reads them; gives those that are kept, or makes them."""
Choose = Callable[[Structure, Sequence[Ranking], Limits, Progress], Chosen]
"""Chooses how many channels to cut from which group."""


@one_thread()
def prune(
    model: ir.Model,
    choose: Choose,
    *,
    by: Rank,
    limits: Limits,
    keep: Sequence[str] = (),
    samples: Samples | None = None,
    with_repair: bool = True,
    progress: Progress,
) -> Pruned:
    """Cuts the chosen channels, and repairs the layers behind.

    Args:
        model: a prepared model, float or with Q/DQ; left as it is.
        choose: see `share_of_macs`, `at_most`, `within`.
        by: how channels are ranked, see `ranked_by` and `kept`.
        limits: what every cut keeps to.
        keep: names of nodes whose channels stay.
        samples: calibration samples; needed except for magnitude without repair.
        with_repair: whether to repair the layers behind.
        progress: progress reporter.

    Raises:
        ModelError: nothing can be cut; a name in `keep` is no node; the cut fails its check.
        DataError: a sample does not fit, or there is none.
    """
    structure = find(model)
    places = sites(structure)
    samples = None if samples is None else read_once(samples)
    rankings = without(structure, by(structure, samples, progress), keep)
    if not rankings:
        raise ModelError(
            "No channel of this model can be cut.",
            where="stages.prune",
            hint="; ".join(f"{item.node}: {item.reason}" for item in structure.fixed[:3])
            or "It has no layer with more than one channel inside.",
        )
    chosen = choose(structure, rankings, limits, progress)
    gone = removed(rankings, chosen.plan)
    result = cut(structure, gone)
    feeds = some_input(model) if samples is None else next(iter(samples()))
    difference = check(structure, result, gone, feeds)
    before = None
    repaired: tuple[Repaired, ...] = ()
    broken = damaged(structure, gone, places) if with_repair and samples is not None else ()
    if broken and samples is not None:
        before = result.clone()
        with progress.track("Repair layers", len(broken)) as advance:
            repaired = repair(structure, result, gone, places, samples, advance)
    size = Size(structure)
    return Pruned(
        model=result,
        cut=before,
        chosen=chosen,
        structure=structure,
        removed=gone,
        layers=layers(structure, gone),
        repaired=repaired,
        macs=(size.macs([]), size.macs(gone)),
        bytes=(size.bytes([]), size.bytes(gone)),
        difference=difference,
    )


def share_of_macs(ratio: float) -> Choose:
    """Takes this share of the multiply-accumulates away."""
    return lambda structure, *rest: at_most((1 - ratio) * Size(structure).macs([]), "macs")(
        structure, *rest
    )


def at_most(goal: float, unit: Literal["macs", "bytes"]) -> Choose:
    """Leaves at most so many multiply-accumulates, or bytes of constants."""

    def choose(
        structure: Structure, rankings: Sequence[Ranking], limits: Limits, progress: Progress
    ) -> Chosen:
        size = Size(structure)
        measure = size.macs if unit == "macs" else size.bytes

        def price(plan: Plan) -> float:
            return measure(removed(rankings, plan))

        plan: Plan = {}
        with progress.track("Choose channels") as advance:
            for plan in greedy(rankings, limits, price, goal):  # noqa: B007
                advance(1)
        return Chosen(plan, unit, goal, measure([]), price(plan))

    return choose


def within(goal: float, estimate: Estimate, compiles: int) -> Choose:
    """Takes at most so many estimated microseconds.

    Args:
        goal: microseconds.
        estimate: measures a candidate.
        compiles: how many candidates may be measured.
    """

    def choose(
        structure: Structure, rankings: Sequence[Ranking], limits: Limits, progress: Progress
    ) -> Chosen:
        with progress.track("Estimate candidate cuts", compiles) as advance:
            watch = Watch(structure, rankings, estimate, compiles, advance)
            plan, us = fit(watch, limits, goal)
            advance(watch.left)
        return Chosen(plan, "us", goal, watch.probes[0].us, us, len(watch.probes))

    return choose


def ranked_by(way: Importance | Losses) -> Rank:
    """Ranks the channels of every group, with losses in one unit where there are samples.

    Losses of cuts without repair, scaled by what trial cuts do to the outputs.
    """

    def rank(
        structure: Structure, samples: Samples | None, progress: Progress
    ) -> tuple[Ranking, ...]:
        if samples is None:
            return importance.magnitude(structure)
        rankings, tried = _by_losses(way, structure, samples, progress)
        with progress.track("Try groups", len(tried)) as advance:
            factors = sensitivities(structure, tried, samples, advance)
        return weigh(rankings, factors)

    return rank


def _by_losses(
    way: Importance | Losses, structure: Structure, samples: Samples, progress: Progress
) -> tuple[tuple[Ranking, ...], tuple[Ranking, ...]]:
    """The rankings, and those whose losses are of cuts without repair."""
    if not isinstance(way, Importance):
        found = way(structure, samples, progress)
        return found, found
    if way is Importance.MAGNITUDE:
        found = importance.magnitude(structure)
        return found, found
    places = sites(structure)
    count = sum(1 for _ in samples()) * passes(places)
    with progress.track("Watch channels", count) as advance:
        seen = moments(structure.model, places, samples, advance)
    tried = importance.activation_weighted(structure, places, seen)
    if way is Importance.SECOND_ORDER:
        return importance.second_order(structure, places, seen), tried
    return tried, tried


def kept(rank: Rank, recall: Recall) -> Rank:
    """The same ranking, made once: `recall` gives an earlier one of the same model and samples."""

    def recalled(
        structure: Structure, samples: Samples | None, progress: Progress
    ) -> tuple[Ranking, ...]:
        return recall(
            lambda: importance.to_json(rank(structure, samples, progress)),
            lambda values: importance.from_json(structure, values),
        )

    return recalled


def without(
    structure: Structure, rankings: Sequence[Ranking], keep: Sequence[str]
) -> tuple[Ranking, ...]:
    """The rankings of groups whose channels none of these nodes gives out.

    Raises:
        ModelError: a name is no node of the model.
    """
    nodes = {str(node.name): node for node in structure.model.graph}
    barred: list[Ids] = []
    for name in keep:
        if name not in nodes:
            raise ModelError(
                f"The prepared model has no node '{name}'.",
                where="stages.prune.keep",
                hint=did_you_mean(name, nodes, "The report lists the nodes."),
            )
        for output in nodes[name].outputs:
            axes = structure.ids.get(str(output.name), ())
            barred.extend(structure.labels[ids] for ids in axes)
    kept = np.concatenate([np.zeros(0, np.int64), *barred])
    return tuple(r for r in rankings if not np.isin(r.group.labels, kept).any())


def layers(structure: Structure, gone: Ids) -> tuple[Layer, ...]:
    """Output channels of each layer with a weight that loses some, in the model's order."""
    kept = stays(structure, gone)
    found = []
    for node in structure.model.graph:
        row = spec(node.op_type)
        if not row.has(Trait.SUMS_CHANNELS) or row.channel_axis is None:
            continue
        ids = structure.ids[str(node.outputs[0].name)]
        axis = row.channel_axis % len(ids)
        after = int(np.count_nonzero(kept[ids[axis]]))
        if after < len(ids[axis]):
            found.append(Layer(str(node.name), node.op_type, len(ids[axis]), after))
    return tuple(found)
