"""Repair without training: the weights behind a cut are refitted to the original activations.

In front of a site the original model has `x` (all channels) and the cut one `z` (those that are
left, themselves changed by earlier cuts). The best linear guess `x ≈ A z + a` gives the site new
weights `W A` and a new bias `b + W a`: what the layer computed before, from what it gets now. The
normal equations of the guess are summed over the calibration samples, one at a time. For layers
without a kernel this is the least-squares refit of the layer; with a kernel, of each of its taps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at
from snapq.graph.shapes import static_shape
from snapq.pruning.groups import Structure
from snapq.pruning.importance import same_products
from snapq.pruning.rules.base import Mask
from snapq.pruning.sites import Site, by_channel
from snapq.pruning.statistics import ROWS, Matrix, Samples, activations, channel_rows, places_of
from snapq.pruning.surgery import stays

_BIASED = ("Conv", "Gemm")
"""Operators with a bias that is the same at every place: these take the shift `W a`."""
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Pulls towards the old weights that are tried, as shares of the mean energy of the channels that
are left. Which one is best depends on how many samples there are for how many channels."""
_HELD = 256 << 20
"""Bytes of what the original model gives that are held for the next layers."""
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
    broken = damaged(structure, removed, sites)
    originals = _Originals(structure, broken, samples)
    for site in broken:
        done.append(_refit(structure, cut, kept, site, samples, originals))
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
    def none(cls, every: int, left: int) -> _Sums:
        """The sums over no place, of so many channels and so many that are left."""
        whole, cross, inner = (every, every), (every, left), (left, left)
        matrices = np.zeros(whole), np.zeros(cross), np.zeros(inner)
        return cls(*matrices, np.zeros(every), np.zeros(left), 0)

    def with_places(self, x: Matrix, z: Matrix) -> _Sums:
        """The sums over some more places, in place: `x` `[places, all]`, `z` `[places, left]`."""
        more = (x.T @ x, x.T @ z, z.T @ z, x.sum(0), z.sum(0))
        for mine, new in zip(self[:5], more, strict=True):
            mine += new
        return self._replace(places=self.places + len(z))

    def plus(self, other: _Sums) -> _Sums:
        """The sums over both."""
        whole, cross, inner, first, second, places = other
        return _Sums(
            self.whole + whole,
            self.cross + cross,
            self.inner + inner,
            self.first + first,
            self.second + second,
            self.places + places,
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


class _Originals:
    """What the original model gives in front of layers, several of them in one pass.

    Args:
        structure: of the original model.
        sites: the layers, in the order in which they are asked for.
        samples: calibration samples.
    """

    def __init__(self, structure: Structure, sites: Sequence[Site], samples: Samples) -> None:
        self._model, self._sites, self._samples = structure.model, sites, samples
        self._held: dict[tuple[str, int], list[npt.NDArray[np.floating]]] = {}

    def rows(self, site: Site) -> Iterator[Matrix]:
        """For each sample `[places, channels]`."""
        if (site.tensor, site.axis) not in self._held:
            self._read(self._sites.index(site))
        return (rows.astype(np.float64) for rows in self._held[site.tensor, site.axis])

    def _read(self, start: int) -> None:
        """Takes the next layers, as many as may be held."""
        count = sum(1 for _ in self._samples())
        self._held, left = {}, _HELD
        for site in self._sites[start:]:
            left -= 4 * count * self._numbers(site)
            if self._held and left < 0:
                break
            self._held[site.tensor, site.axis] = []
        names = [name for name, _ in self._held]
        for values in activations(self._model, names, self._samples()):
            for (name, axis), rows in self._held.items():
                # A copy, or all places would be held where only some are looked at.
                rows.append(np.array(places_of(values[name], axis)))

    def _numbers(self, site: Site) -> int:
        """How many numbers of a sample are held for a layer."""
        nodes = {str(value.name): value for node in self._model.graph for value in node.outputs}
        shape = static_shape(nodes.get(site.tensor)) or (ROWS, len(site.labels))
        channels = len(site.labels)
        return min(ROWS, prod(shape) // channels) * channels


def _refit(
    structure: Structure,
    cut: ir.Model,
    stay: Mask,
    site: Site,
    samples: Samples,
    originals: _Originals,
) -> Repaired:
    kept = stay[structure.ids[site.tensor][site.axis]]
    fitted, judging = (_Sums.none(len(kept), int(kept.sum())) for _ in range(2))
    remains = activations(cut, [site.tensor], samples())
    for index, (x, values) in enumerate(zip(originals.rows(site), remains, strict=True)):
        z = channel_rows(values[site.tensor], site.axis)
        if index % _JUDGES == _JUDGES - 1:
            judging = judging.with_places(x, z)
        else:
            fitted = fitted.with_places(x, z)
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
    whole, energy = (_product(narrow, one.whole @ narrow) for one in (sums, used))
    return Repaired(
        site.node,
        max(_error(sums, narrow, np.eye(len(kept))[:, kept], whole), 0.0) / (energy or 1.0),
        max(_error(used, narrow, guess, energy), 0.0) / (energy or 1.0),
    )


def _best_ridge(fitted: _Sums, judging: _Sums, kept: Mask, rows: Matrix, *, biased: bool) -> float:
    """The pull whose fit on some samples leaves the least error on others.

    Without samples to judge by it is a middle one.
    """
    if not judging.places or not fitted.places:
        return RIDGES[len(RIDGES) // 2]
    used = fitted.centered() if biased else fitted
    narrow, left = same_products(rows), []
    energy = _product(narrow, judging.whole @ narrow)
    for ridge in RIDGES:
        guess = solve(used.inner, used.cross, kept, ridge)
        shift = (fitted.first - guess @ fitted.second) / fitted.places
        error = _error(judging, narrow, guess, energy)
        if biased:  # of `x - shift` in the place of `x`
            apart = judging.first - guess @ judging.second
            moved = narrow.T @ shift
            error += judging.places * float(moved @ moved) - 2 * float(moved @ (narrow.T @ apart))
        left.append(error)
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


def _error(sums: _Sums, rows: Matrix, guess: Matrix, energy: float) -> float:
    """Energy of `W' (x - A z)`, summed over places; `energy` is that of `W' x`."""
    made = guess.T @ rows
    crossed = _product(rows, sums.cross @ made)
    return energy - 2 * crossed + _product(made, sums.inner @ made)


def _product(left: Matrix, right: Matrix) -> float:
    """The sum of the products of all entries."""
    return float(np.vdot(left, right))
