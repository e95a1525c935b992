"""What calibration shows of the channels in front of each site: second moments.

Samples stream through the model; of each activation only sums over places are kept, so memory does
not grow with their number. Where the matrices of all sites would take too much of it, the samples
are read again for the next few sites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.errors import DataError
from snapq.pruning.sites import Site

Matrix = npt.NDArray[np.float64]
Feeds = Mapping[str, npt.NDArray[np.generic]]
Samples = Callable[[], Iterable[Feeds]]
"""Gives the samples anew each time that it is called."""

_KEPT = 64 << 20
"""Bytes of samples that stay in memory from one reading to the next."""
ROWS = 1024
"""Places of one activation that are looked at, evenly spaced: neighbours say much the same."""
_MEMORY = 512 << 20


def read_once(samples: Samples) -> Samples:
    """The same samples, kept from the first reading on where they are few.

    A repair reads them twice for each layer, and to decode and resize pictures takes as long as the
    layers themselves.
    """
    kept: list[Feeds] | None = None

    def read() -> Iterator[Feeds]:
        nonlocal kept
        if kept is not None:
            yield from kept
            return
        seen: list[Feeds] = []
        size = 0
        for feeds in samples():
            size += sum(array.nbytes for array in feeds.values())
            if size <= _KEPT:
                seen.append(feeds)
            else:
                seen.clear()
            yield feeds
        if size <= _KEPT:
            kept = seen

    return read


@dataclass(frozen=True)
class Moments:
    """Means over places of the channel vector `x` in front of a site.

    Attributes:
        second: mean of `x x'`, `[channels, channels]`.
        places: how many places were looked at.
    """

    second: Matrix
    places: int


def moments(
    model: ir.Model,
    sites: Sequence[Site],
    samples: Samples,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Moments]:
    """Moments of the activation in front of each site, by the activation's name.

    `progress` is called with the number of samples that were read once more.

    Raises:
        DataError: there is no sample.
        ModelError: ONNX Runtime does not accept the model.
    """
    result: dict[str, Moments] = {}
    for part in _parts(sites):
        result.update(_moments(model, part, samples, progress))
    return result


def passes(sites: Sequence[Site]) -> int:
    """How often `moments` reads the samples."""
    return sum(1 for _ in _parts(sites))


def _parts(sites: Sequence[Site]) -> Iterator[list[Site]]:
    """Sites whose matrices fit into memory together; each activation once."""
    part: list[Site] = []
    size = 0
    for site in {site.tensor: site for site in sites}.values():
        needed = 8 * len(site.labels) ** 2
        if part and size + needed > _MEMORY:
            yield part
            part, size = [], 0
        part.append(site)
        size += needed
    if part:
        yield part


def _moments(
    model: ir.Model, sites: Sequence[Site], samples: Samples, progress: Callable[[int], None] | None
) -> dict[str, Moments]:
    second = {site.tensor: np.zeros((len(site.labels),) * 2) for site in sites}
    places = dict.fromkeys(second, 0)
    for values in activations(model, [*second], samples()):
        for site in sites:
            rows = channel_rows(values[site.tensor], site.axis)
            second[site.tensor] += rows.T @ rows
            places[site.tensor] += len(rows)
        if progress is not None:
            progress(1)
    if not all(places.values()):
        raise DataError(
            "There is no calibration sample.",
            where="data.calibration",
            hint="Give at least one; 32 to 128 that look like what the device will see are usual.",
        )
    return {name: Moments(second[name] / places[name], places[name]) for name in second}


def activations(
    model: ir.Model, names: Sequence[str], samples: Iterable[Feeds]
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """Values of some tensors for each sample; what they do not depend on is not computed."""
    part = model.clone()
    values = {str(value.name): value for node in part.graph for value in node.outputs}
    fed = {str(value.name) for value in part.graph.inputs}
    computed = [name for name in dict.fromkeys(names) if name not in fed]
    part.graph.outputs.clear()
    part.graph.outputs.extend(values[name] for name in computed)
    runnable = CpuModel(part) if computed else None
    for feeds in samples:
        found = {**feeds, **(runnable.run(feeds) if runnable is not None else {})}
        yield {name: np.asarray(found[name], np.float32) for name in names}


def channel_rows(value: npt.NDArray[np.floating], axis: int) -> Matrix:
    """An activation as `[places, channels]`, at most `ROWS` places, evenly spaced."""
    return places_of(value, axis).astype(np.float64)


def places_of(value: npt.NDArray[np.floating], axis: int) -> npt.NDArray[np.floating]:
    """The same in the type that it has."""
    rows = np.moveaxis(value, axis, -1).reshape(-1, value.shape[axis])
    if len(rows) > ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, ROWS).astype(np.int64)]
    return rows
