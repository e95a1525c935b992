"""How much a model loses with its channels: an order of each group's channels and its price.

All three ways give the loss as a share: of the weights' energy, or of the energy of the outputs of
the layers that sum over the channels. So the losses of different layers compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snapq.graph.edit import constant
from snapq.pruning.axes import Ids
from snapq.pruning.groups import Group, Structure
from snapq.pruning.sites import Site, by_channel, dequantized, weight_of
from snapq.pruning.statistics import Moments

Vector = npt.NDArray[np.float64]
_RIDGE = 1e-4
_BATCHES = 128


@dataclass(frozen=True)
class Ranking:
    """The channels of a group in the order in which to cut them.

    Attributes:
        group: the group.
        order: its labels, least important first.
        loss: what the model loses with the first `n` of them, `[channels + 1]`, growing from 0.
    """

    group: Group
    order: Ids
    loss: Vector


def to_json(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """Rankings as JSON values, to the bit."""
    return [
        {"group": one.group.name, "order": one.order.tolist(), "loss": one.loss.tolist()}
        for one in rankings
    ]


def from_json(structure: Structure, values: Sequence[Mapping[str, Any]]) -> tuple[Ranking, ...]:
    """The opposite of `to_json`. Raises `KeyError` where they are of another structure."""
    groups = {group.name: group for group in structure.groups}
    return tuple(
        Ranking(groups[one["group"]], np.array(one["order"], np.int64), np.array(one["loss"]))
        for one in values
    )


def magnitude(structure: Structure) -> tuple[Ranking, ...]:
    """Ranks channels by the share of the weights' energy (sum of squares) that goes with them.

    As L2 norm over all coupled layers: Fang et al., "DepGraph" (2023), without its training.
    """
    energy = np.zeros(len(structure.labels) + 1)
    for name, weight in _weights(structure):
        squares = np.square(weight.astype(np.float64))
        total = squares.sum() or 1.0
        for axis, ids in enumerate(structure.ids[name]):
            others = tuple(other for other in range(weight.ndim) if other != axis)
            np.add.at(energy, structure.labels[ids], squares.sum(others) / total)
    return by_energy(structure, energy)


def activation_weighted(
    structure: Structure, sites: Sequence[Site], seen: Mapping[str, Moments]
) -> tuple[Ranking, ...]:
    """Ranks channels by the energy of what they add to the outputs behind them.

    `E[x_c²] · |W_c|²`, as a share of the outputs' energy; as Sun et al., "Wanda" (2023), for whole
    channels. Groups that no site sees are ranked by magnitude.
    """
    energy = np.zeros(len(structure.labels) + 1)
    for site in sites:
        weight = _site_weight(structure, site)
        second = seen[site.tensor].second
        total = _output_energy(weight, second)
        np.add.at(energy, site.labels, np.diag(second) * np.square(weight).sum(1) / total)
    by_size = magnitude(structure)
    return tuple(
        _sorted(group, energy[group.labels]) if energy[group.labels].any() else unseen
        for group, unseen in zip(structure.groups, by_size, strict=True)
    )


def second_order(
    structure: Structure, sites: Sequence[Site], seen: Mapping[str, Moments]
) -> tuple[Ranking, ...]:
    """Ranks channels by the error that stays in the outputs behind them after the best refit.

    Step by step: with `H` the second moments of those that are left, cutting `S` costs
    `tr(W_S' ((H^-1)_SS)^-1 W_S)`; then `H^-1` and `W` are brought up to date and the next cheapest
    ones go. Hassibi and Stork, "Optimal Brain Surgeon" (1993), for whole channels and all layers
    behind them together.
    """
    rankings = []
    for unseen in magnitude(structure):
        group = unseen.group
        behind = [
            _Surgeon(site, _site_weight(structure, site), seen[site.tensor])
            for site in sites
            if np.isin(site.labels, group.labels).any()
        ]
        rankings.append(_peel(group, behind) if behind else unseen)
    return tuple(rankings)


class _Surgeon:
    """One site while channels are taken from it."""

    def __init__(self, site: Site, weight: Vector, seen: Moments) -> None:
        size = len(seen.second)
        # Few places for many channels say little about what can stand in for what.
        share = _RIDGE + size / seen.places**2
        damping = share * float(np.trace(seen.second)) / max(size, 1) + 1e-12
        self._inverse = np.linalg.inv(seen.second + damping * np.eye(size))
        # Only what the rows of the weight are to each other matters, not how many columns it has.
        self._weight = same_products(weight)
        self._total = _output_energy(weight, seen.second)
        self._labels = site.labels

    def costs(self, labels: Ids) -> Vector:
        """The error that each of the labels would leave, as a share of the outputs' energy."""
        costs = np.zeros(len(labels))
        single = np.square(self._weight).sum(1) / np.maximum(np.diag(self._inverse), 1e-30)
        order = np.argsort(self._labels, kind="stable")
        known = self._labels[order]
        for position, label in enumerate(labels.tolist()):
            low, high = np.searchsorted(known, [label, label + 1])
            indices = order[low:high]
            if len(indices) == 1:
                costs[position] = single[indices[0]]
            elif len(indices):
                costs[position] = self._error(indices)
        result: Vector = costs / self._total
        return result

    def remove(self, labels: Ids) -> float:
        """Takes channels away and refits the others; the error that this adds, as a share."""
        gone = np.isin(self._labels, labels)
        indices = np.flatnonzero(gone)
        if not len(indices):
            return 0.0
        error = self._error(indices) / self._total
        columns = self._inverse[:, indices]
        factor = np.linalg.solve(columns[indices], columns.T)
        self._weight = (self._weight - factor.T @ self._weight[indices])[~gone]
        self._inverse = (self._inverse - columns @ factor)[np.ix_(~gone, ~gone)]
        self._labels = self._labels[~gone]
        return error

    def _error(self, indices: Ids) -> float:
        rows = self._weight[indices]
        block = self._inverse[np.ix_(indices, indices)]
        return float((rows * np.linalg.solve(block, rows)).sum())


def _peel(group: Group, behind: Sequence[_Surgeon]) -> Ranking:
    """Takes the cheapest channels, again and again, a hundred-and-twenty-eighth at a time.

    The price of the last ones is not brought up to date: a sixteenth stays in any case.
    """
    left = group.labels.copy()
    order: list[int] = []
    loss = [0.0]
    batch = -(-group.channels // _BATCHES)
    while len(left):
        costs = np.sum([surgeon.costs(left) for surgeon in behind], axis=0)
        cheapest = np.argsort(costs, kind="stable")
        if len(left) <= max(batch, group.channels // 16):
            order.extend(left[cheapest].tolist())
            loss.extend((loss[-1] + np.cumsum(costs[cheapest])).tolist())
            break
        taken = left[cheapest[:batch]]
        order.extend(taken.tolist())
        added = sum(surgeon.remove(taken) for surgeon in behind)
        loss.extend((loss[-1] + added * np.arange(1, batch + 1) / batch).tolist())
        left = np.delete(left, cheapest[:batch])
    return Ranking(group, np.array(order, np.int64), np.array(loss))


def same_products(weight: Vector) -> Vector:
    """A matrix with the same inner products of rows, and no more columns than rows."""
    if weight.shape[1] <= len(weight):
        return weight
    values, vectors = np.linalg.eigh(weight @ weight.T)
    result: Vector = vectors * np.sqrt(np.maximum(values, 0))
    return result


def by_energy(structure: Structure, energy: Vector) -> tuple[Ranking, ...]:
    """Ranks channels by a loss for each label, `[labels + 1]`, however it was found."""
    return tuple(_sorted(group, energy[group.labels]) for group in structure.groups)


def _sorted(group: Group, energy: Vector) -> Ranking:
    order = np.argsort(energy, kind="stable")
    loss = np.concatenate([[0.0], np.cumsum(energy[order])])
    return Ranking(group, group.labels[order], loss)


def _output_energy(weight: Vector, second: Vector) -> float:
    return float(np.einsum("co,cd,do->", weight, second, weight, optimize=True)) or 1.0


def _site_weight(structure: Structure, site: Site) -> Vector:
    node = next(node for node in structure.model.graph if node.name == site.node)
    weight = weight_of(node, site.weight_index)
    assert weight is not None
    return by_channel(weight, site.weight_axis)


def _weights(structure: Structure) -> list[tuple[str, npt.NDArray[np.floating]]]:
    """Constants of two and more axes, as floats, by the name of what holds them."""
    found = []
    for name, value in structure.model.graph.initializers.items():
        array = constant(value)
        if array is not None and array.ndim > 1 and array.dtype.kind == "f":
            found.append((name, array))
    for node in structure.model.graph:
        if node.op_type == "DequantizeLinear":
            codes = dequantized(node)
            if codes is not None and codes.ndim > 1:
                found.append((str(node.outputs[0].name), codes))
    return found
