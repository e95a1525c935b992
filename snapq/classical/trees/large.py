"""Large forests: a share of the trees is tried out in many shapes, the whole in the best of these.

Parts of a forest are computed one after another, so that a run of trees takes its share of the
time: within 3 % of 50 trees of any depth (142,160 leaves), of which a quarter was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from snapq.classical.trees import candidates
from snapq.classical.trees.candidates import Candidate, Estimated
from snapq.classical.trees.encoding import Encoding
from snapq.classical.trees.forest import Forest
from snapq.classical.trees.host_cost import host_us
from snapq.classical.trees.plan import Plan, Shape
from snapq.errors import QnnError
from snapq.progress import Advance

__all__ = ["expected", "search"]

SHARE = 30_000
"""Leaves that are compiled in seconds, and fill the NPU."""

Make = Callable[[Forest, Encoding, Shape], Plan]
Estimate = Callable[[Plan], Candidate]


def search(
    forest: Forest,
    encodings: Sequence[Encoding],
    make: Make,
    estimated: Estimate,
    advance: Advance,
) -> Iterator[Candidate]:
    """Compiles candidates, the fastest first; of a large forest each when it is asked for.

    Args:
        forest: the trees.
        encodings: how rows may enter.
        make: makes a plan.
        estimated: compiles it for its estimate.
        advance: told after each compilation.

    Raises:
        ModelError: every candidate is too large.
        QnnError: none compiles.
    """
    share = _Share.of(forest)
    tried = share.search(encodings, make, estimated, advance)
    if share.scale == 1:
        return iter(tried)
    return _compiled((share.whole(one.plan, make) for one in tried), estimated, advance)


def expected(
    forest: Forest, encodings: Sequence[Encoding], make: Make, estimated: Estimate
) -> Estimated:
    """The fastest first shape; of a large forest by that of a share. Raises as `search`."""
    share = _Share.of(forest)
    best = share.search(encodings, make, estimated, lambda _: None, refine=False)[0]
    if share.scale == 1:
        return best
    plan, npu_us = share.whole(best.plan, make), best.npu_us * share.scale
    return Estimated(plan, npu_us + host_us(plan), npu_us)


@dataclass(frozen=True)
class _Share:
    """Trees that stand for all.

    Attributes:
        all_trees: the forest.
        trees: some of it, next to each other in the order in which they are computed.
        scale: the leaves of all by those of these.
    """

    all_trees: Forest
    trees: Forest
    scale: float

    @classmethod
    def of(cls, forest: Forest) -> _Share:
        """Takes trees from the middle of the order; all where they are not large."""
        order, leaves = forest.order, forest.leaves
        count = min(len(order), max(1, round(len(order) * SHARE / max(leaves, 1))))
        if leaves <= SHARE or count == len(order):
            return cls(forest, forest, 1.0)
        first = (len(order) - count) // 2
        chosen = sorted(order[first : first + count])
        share = replace(forest, trees=tuple(forest.trees[tree] for tree in chosen))
        return cls(forest, share, leaves / share.leaves)

    def search(
        self,
        encodings: Sequence[Encoding],
        make: Make,
        estimated: Estimate,
        advance: Advance,
        *,
        refine: bool = True,
    ) -> list[Candidate]:
        """Compiles candidates of these trees; see `candidates.search`."""
        return candidates.search(
            self.trees,
            encodings,
            lambda encoding, shape: make(self.trees, encoding, shape),
            estimated,
            advance,
            refine=refine,
            scale=self.scale,
        )

    def whole(self, plan: Plan, make: Make) -> Plan:
        """The plan of all trees whose parts are as large as those of a plan of these."""
        parts = min(round(plan.shape.parts * self.scale), len(self.all_trees.trees))
        return make(self.all_trees, plan.encoding, replace(plan.shape, parts=parts))


def _compiled(plans: Iterator[Plan], estimated: Estimate, advance: Advance) -> Iterator[Candidate]:
    """Those that compile. Raises what stopped the first of none."""
    error: QnnError | None = None
    none = True
    for plan in plans:
        try:
            candidate = estimated(plan)
        except QnnError as refused:
            if refused.transient:
                raise
            error = error or refused
            continue
        advance(1)
        none = False
        yield candidate
    if none and error:
        raise error
