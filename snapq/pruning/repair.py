"""Repair without training: the weights behind a cut are refitted to the original activations.

In front of a site the original model has `x` (all channels) and the cut one `z` (those that are
left, themselves changed by earlier cuts). The best linear guess `x ≈ A z + a` gives the site new
weights `W A` and a new bias `b + W a`: what the layer computed before, from what it gets now. The
normal equations of the guess are summed over the calibration samples, one at a time. For layers
without a kernel this is the least-squares refit of the layer; with a kernel, of each of its taps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.pruning.groups import Structure
from snapq.pruning.importance import same_products
from snapq.pruning.rules.base import Mask
from snapq.pruning.sites import Site, by_channel
from snapq.pruning.statistics import Matrix, Samples, activations, channel_rows
from snapq.pruning.surgery import stays

_BIASED = ("Conv", "Gemm")
"""Operators with a bias that is the same at every place: these take the shift `W a`."""
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Pulls towards the old weights that are tried, as shares of the mean energy of the channels that
are left. Which one is best depends on how many samples there are for how many channels."""
_JUDGES = 4
"""One sample in so many judges the pulls and is fitted only at the end."""


@dataclass(frozen=True)
class Repaired:
    """What the repair of one site did.

    Attributes:
        node: name of the node.
        before: error of its output after the cut, as a share of the output's energy.
        after: the same after the repair, on the same samples.
    """

    node: str
    before: float
    after: float


def repair(
    structure: Structure,
    cut: ir.Model,
    removed: npt.ArrayLike,
    sites: Sequence[Site],
    samples: Samples,
    progress: Callable[[int], None] | None = None,
) -> tuple[Repaired, ...]:
    """Refits every layer in `cut` that lost input channels, from the first to the last, in place.

    Each layer sees what the layers before it give after their own repair. Depthwise and dynamic
    products are not refitted; integer weights are left as they are. `progress` is called with the
    number of layers done.

    Raises:
        DataError, ModelError: as `statistics.moments`.
    """
    kept = stays(structure, removed)
    done = []
    for site in damaged(structure, removed, sites):
        done.append(_refit(structure, cut, kept, site, samples))
        if progress is not None:
            progress(1)
    return tuple(done)


def damaged(
    structure: Structure, removed: npt.ArrayLike, sites: Sequence[Site]
) -> tuple[Site, ...]:
    """The sites with float weights that lose input channels, in the order of the model."""
    kept = stays(structure, removed)
    nodes = {str(node.name): node for node in structure.model.graph}
    return tuple(
        site
        for site in sites
        if not kept[structure.ids[site.tensor][site.axis]].all()
        and constant(nodes[site.node].inputs[site.weight_index]) is not None
    )


class _Sums(NamedTuple):
    """Sums over places: `x` are the channels of the original, `z` those that are left.

    Attributes:
        whole: `x x'`, `[all, all]`.
        cross: `x z'`, `[all, left]`.
        inner: `z z'`, `[left, left]`.
        first: `x`, `[all]`.
        second: `z`, `[left]`.
        places: how many places.
    """

    whole: Matrix
    cross: Matrix
    inner: Matrix
    first: Matrix
    second: Matrix
    places: int

    @classmethod
    def over(cls, x: Matrix, z: Matrix) -> _Sums:
        """The sums over some places: `x` `[places, all]`, `z` `[places, left]`."""
        return cls(x.T @ x, x.T @ z, z.T @ z, x.sum(0), z.sum(0), len(z))

    def plus(self, other: _Sums) -> _Sums:
        """The sums over both."""
        pairs: Iterable[tuple[Any, Any]] = zip(self, other, strict=True)
        return _Sums(*(one + more for one, more in pairs))

    def less(self, shift: Matrix) -> _Sums:
        """The sums with `x - shift` in place of `x`."""
        among = np.outer(self.first, shift)
        return _Sums(
            self.whole - among - among.T + self.places * np.outer(shift, shift),
            self.cross - np.outer(shift, self.second),
            self.inner,
            self.first - self.places * shift,
            self.second,
            self.places,
        )

    def centered(self) -> _Sums:
        """The same sums of `x` and `z` less their means."""
        x, z, places = self.first, self.second, max(self.places, 1)
        return _Sums(
            self.whole - np.outer(x, x) / places,
            self.cross - np.outer(x, z) / places,
            self.inner - np.outer(z, z) / places,
            np.zeros_like(x),
            np.zeros_like(z),
            self.places,
        )


def _refit(
    structure: Structure, cut: ir.Model, stay: Mask, site: Site, samples: Samples
) -> Repaired:
    kept = stay[structure.ids[site.tensor][site.axis]]
    fitted = judging = _Sums.over(np.zeros((0, len(kept))), np.zeros((0, int(kept.sum()))))
    originals = activations(structure.model, [site.tensor], samples())
    remains = activations(cut, [site.tensor], samples())
    for index, both in enumerate(zip(originals, remains, strict=True)):
        sums = _Sums.over(*(channel_rows(values[site.tensor], site.axis) for values in both))
        if index % _JUDGES == _JUDGES - 1:
            judging = judging.plus(sums)
        else:
            fitted = fitted.plus(sums)
    biased = site.operator in _BIASED
    node = next(node for node in cut.graph if node.name == site.node)
    weight = _original_weight(structure, stay, site)
    rows = by_channel(weight, site.weight_axis)
    ridge = _best_ridge(fitted, judging, kept, rows, biased=biased)
    sums = fitted.plus(judging)
    used = sums.centered() if biased else sums
    guess = solve(used.inner, used.cross, kept, ridge)
    edit = Editor(cut.graph)
    if biased:
        _shift_bias(edit, node, site, weight, (sums.first - guess @ sums.second) / sums.places)
    shape = list(np.moveaxis(weight, site.weight_axis, 0).shape)
    shape[0] = int(kept.sum())
    refitted = np.moveaxis((guess.T @ rows).reshape(shape), 0, site.weight_axis)
    edit.set_constant(node, site.weight_index, refitted.astype(weight.dtype))
    narrow = same_products(rows)
    energy = _product(narrow, used.whole @ narrow) or 1.0
    return Repaired(
        site.node,
        _error(sums, narrow, np.eye(len(kept))[:, kept]) / energy,
        _error(used, narrow, guess) / energy,
    )


def _best_ridge(fitted: _Sums, judging: _Sums, kept: Mask, rows: Matrix, *, biased: bool) -> float:
    """The pull whose fit on some samples leaves the least error on others.

    Without samples to judge by it is a middle one.
    """
    if not judging.places or not fitted.places:
        return RIDGES[len(RIDGES) // 2]
    used = fitted.centered() if biased else fitted
    narrow, left = same_products(rows), []
    for ridge in RIDGES:
        guess = solve(used.inner, used.cross, kept, ridge)
        shift = (fitted.first - guess @ fitted.second) / fitted.places
        seen = judging.less(shift) if biased else judging
        left.append(_error(seen, narrow, guess))
    return RIDGES[int(np.argmin(left))]


def solve(inner: Matrix, cross: Matrix, kept: Mask, ridge: float) -> Matrix:
    """The ridge solution `A` `[all, left]` of `x ≈ A z`, pulled towards "what is left is itself".

    Args:
        inner: sum of `z z'`, `[left, left]`.
        cross: sum of `x z'`, `[all, left]`.
        kept: which channels are left, `[all]`.
        ridge: the pull, as a share of the mean energy of a channel that is left.
    """
    left = len(inner)
    damping = ridge * float(np.trace(inner)) / max(left, 1) + 1e-12
    missing = cross.copy()
    missing[kept] -= inner
    pull = damping * np.eye(left)
    result: Matrix = np.asarray(np.linalg.solve(inner + pull, missing.T).T, np.float64)
    result[kept, np.arange(left)] += 1
    return result


def _original_weight(structure: Structure, stay: Mask, site: Site) -> npt.NDArray[np.floating]:
    """The weight before the cut: all input channels, and the output channels that are left."""
    node = next(node for node in structure.model.graph if node.name == site.node)
    value = node.inputs[site.weight_index]
    array = constant(value)
    assert array is not None
    assert value is not None
    masks = [stay[ids] for ids in structure.ids[str(value.name)]]
    masks[site.weight_axis] = np.ones_like(masks[site.weight_axis])
    return array[np.ix_(*masks)]


def _shift_bias(
    edit: Editor, node: ir.Node, site: Site, weight: npt.NDArray[np.floating], shift: Matrix
) -> None:
    """Adds what a constant `shift` `[all]` of the input channels gives to the bias."""
    outputs = 1 - site.weight_axis
    others = tuple(axis for axis in range(weight.ndim) if axis != outputs)
    spread = [1] * weight.ndim
    spread[site.weight_axis] = -1
    addition = (weight * shift.reshape(spread)).sum(others)
    bias = constant(input_at(node, 2))
    new = addition if bias is None else bias + addition
    edit.set_constant(node, 2, new.astype(weight.dtype))


def _error(sums: _Sums, rows: Matrix, guess: Matrix) -> float:
    """Energy of `W' (x - A z)`, summed over places."""
    made = guess.T @ rows
    error = (
        _product(rows, sums.whole @ rows)
        - 2 * _product(rows, sums.cross @ made)
        + _product(made, sums.inner @ made)
    )
    return max(error, 0.0)


def _product(left: Matrix, right: Matrix) -> float:
    """The sum of the products of all entries."""
    return float(np.vdot(left, right))
