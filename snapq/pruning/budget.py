"""How many channels to take from which group: always the cheapest step for what it gains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph import cost
from snapq.pruning.axes import Ids
from snapq.pruning.groups import Group, Structure
from snapq.pruning.importance import Ranking


@dataclass(frozen=True)
class Limits:
    """What every cut keeps to.

    Attributes:
        step: channel counts are brought to multiples of this.
        most: the largest share of a group's channels that may go.
    """

    step: int = 32
    most: float = 0.75


Plan = dict[str, int]
"""Number of channels to cut, by name of the group."""


def removed(rankings: Sequence[Ranking], plan: Plan) -> Ids:
    """The labels that a plan cuts."""
    parts = [ranking.order[: plan.get(ranking.group.name, 0)] for ranking in rankings]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def counts(group: Group, limits: Limits) -> tuple[int, ...]:
    """How many channels may be cut from a group, fewest first, 0 among them.

    What is left is a multiple of the step (axes of a channel's own width count in full), and one
    step at least. Where channels are so wide that no number of them is one, any number may go.
    """
    unit = limits.step // gcd(limits.step, group.width)
    if group.width > 1 and unit >= group.channels:
        unit = 1
    least = max(unit, int(np.ceil(group.channels * (1 - limits.most))))
    left = range((group.channels - 1) // unit * unit, least - 1, -unit)
    return (0, *(group.channels - kept for kept in left))


class Size:
    """What a cut model would cost, without making it.

    A step of a plan changes few shapes, so what each node and constant costs is kept by its shapes.
    """

    def __init__(self, structure: Structure) -> None:
        self._model = structure.model.clone()
        self._gone = np.zeros(len(structure.labels) + 1, bool)
        self._places: dict[str, tuple[int, ...]] = {}
        labels: dict[bytes, tuple[int, Ids]] = {}
        for name, axes in structure.ids.items():
            found = [structure.labels[ids] for ids in axes]
            self._places[name] = tuple(
                labels.setdefault(one.tobytes(), (len(labels), one))[0] for one in found
            )
        every = [one for _, one in labels.values()]
        self._sizes = np.array([len(one) for one in every], np.int64)
        self._labels = np.concatenate([np.zeros(0, np.int64), *every])
        self._ends = np.cumsum(self._sizes)
        self._macs = [self._counted(_touched(node), _macs_of(node)) for node in self._model.graph]
        self._bytes = [
            self._counted((value,), _bytes_of(value))
            for value in self._model.graph.initializers.values()
        ]

    def macs(self, cut: npt.ArrayLike) -> int:
        """Multiply-accumulates of the model without these channels."""
        return self._sum(self._macs, cut)

    def bytes(self, cut: npt.ArrayLike) -> int:
        """Bytes of the constants of the model without these channels."""
        return self._sum(self._bytes, cut)

    def _sum(self, parts: Sequence[_Counted], cut: npt.ArrayLike) -> int:
        self._gone[:] = False
        self._gone[np.asarray(cut, np.int64)] = True
        so_far = np.concatenate([[0], np.cumsum(self._gone[self._labels])])
        left = (self._sizes - so_far[self._ends] + so_far[self._ends - self._sizes]).tolist()
        return sum(part.of(left) for part in parts)

    def _counted(self, values: Sequence[ir.Value], count: Callable[[], int]) -> _Counted:
        found = {value: self._places.get(str(value.name)) for value in values}
        return _Counted([(one, at) for one, at in found.items() if at is not None], count)


class _Counted:
    """A figure of a part of the model, computed once for each of its shapes.

    Args:
        values: whose shapes it hangs on, each with the places of its sizes among all.
        count: computes it.
    """

    def __init__(
        self, values: Sequence[tuple[ir.Value, tuple[int, ...]]], count: Callable[[], int]
    ) -> None:
        self._values, self._count = values, count
        self._places = tuple(dict.fromkeys(place for _, places in values for place in places))
        self._known: dict[tuple[int, ...], int] = {}

    def of(self, left: Sequence[int]) -> int:
        """The figure with these sizes."""
        wanted = tuple([left[place] for place in self._places])
        if wanted not in self._known:
            for value, places in self._values:
                value.shape = ir.Shape([left[place] for place in places])
            self._known[wanted] = self._count()
        return self._known[wanted]


def _touched(node: ir.Node) -> tuple[ir.Value, ...]:
    return tuple(value for value in (*node.inputs, *node.outputs) if value is not None)


def _macs_of(node: ir.Node) -> Callable[[], int]:
    return lambda: cost.macs(node)


def _bytes_of(value: ir.Value) -> Callable[[], int]:
    def count() -> int:
        if value.shape is None or value.dtype is None:
            return 0
        return (int(np.prod(value.shape.numpy())) * value.dtype.bitwidth + 7) // 8

    return count


Price = Callable[[Plan], float]
"""What a plan's model costs, in the unit of the target."""


def greedy(
    rankings: Sequence[Ranking],
    limits: Limits,
    price: Price,
    target: float,
    weights: Mapping[str, float] | None = None,
) -> Iterator[Plan]:
    """Plans from the whole model on, each one step smaller than the one before.

    The step is the one with the least loss for what it gains; it may take several counts of a
    group at once where single ones gain nothing. Ends with the first plan that costs `target` or
    less, or where no step gains anything any more.
    """
    plan: Plan = {ranking.group.name: 0 for ranking in rankings}
    now = price(plan)
    choices = {ranking.group.name: counts(ranking.group, limits) for ranking in rankings}
    yield dict(plan)
    while now > target:
        best: tuple[float, str, int, float] | None = None
        for ranking in rankings:
            name = ranking.group.name
            taken = plan[name]
            for count in choices[name]:
                if count <= taken:
                    continue
                then = price({**plan, name: count})
                gain = now - then
                if gain <= 0:
                    continue
                factor = 1.0 if weights is None else weights.get(name, 1.0)
                loss = factor * float(ranking.loss[count] - ranking.loss[taken])
                if best is None or loss / gain < best[0]:
                    best = loss / gain, name, count, then
                break
        if best is None:
            return
        _, name, count, now = best
        plan[name] = count
        yield dict(plan)
