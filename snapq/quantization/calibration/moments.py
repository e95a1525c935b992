"""First and second moments of what layers see, float and quantized side by side."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from snapq.quantization.calibration.calibrate import Samples, stream
from snapq.quantization.calibration.kept import KeptArrays, Place
from snapq.quantization.encodings import Encoding, Floats
from snapq.quantization.tuning.layers import Layer, columns, places, positions

__all__ = ["LARGEST", "Moments", "Seen", "collect"]

LARGEST = 4608
"""Layers that see more inputs than this at once are left to plain rounding: their second moments
would take more than 80 MB."""
_MOST_POSITIONS, _FEWEST_POSITIONS = 192, 24
"""Output positions of a sample that are looked at, in between by `_VALUES`."""
_VALUES = 1 << 18
"""Values of a layer's input that are looked at, a sample."""
_AT_ONCE = 16 << 20
"""Bytes of what a layer sees that are summed at once."""


@dataclass
class Moments:
    """Sums over the positions that were seen, by group: `x` is the input, `q` what becomes of it.

    Attributes:
        count: positions.
        x: sum of x, `[G, K]`.
        q: sum of q, `[G, K]`.
        qq: sum of q q', `[G, K, K]`; empty where only means are wanted.
    """

    count: int = 0
    x: Floats = field(default_factory=lambda: np.zeros((), np.float32))
    q: Floats = field(default_factory=lambda: np.zeros((), np.float32))
    qq: Floats = field(default_factory=lambda: np.zeros((), np.float32))

    def update(self, x: Floats, q: Floats, *, second: bool) -> None:
        """Adds positions, `[G, positions, K]` each."""
        self.count += x.shape[1]
        self.x = self.x + x.sum(axis=1)
        self.q = self.q + q.sum(axis=1)
        if second:
            self.qq = self.qq + q.transpose(0, 2, 1) @ q


class Seen:
    """What layers see in a float model, at a few places of each sample: computed once and kept.

    Args:
        model: the float model.
        samples: feeds; read once for each set of layers that was not asked for before.
    """

    def __init__(self, model: ir.Model, samples: Samples) -> None:
        self.model, self.samples = model, samples
        self._kept = KeptArrays()
        self._places: dict[tuple[int, str], list[Place]] = {}

    def columns(
        self, chosen: Sequence[Layer], wanted: Container[str]
    ) -> Iterator[tuple[Layer, Iterator[Floats]]]:
        """Layer by layer what it sees, sample by sample, `[G, positions, K]` each.

        Of the layers that are `chosen`, on which the places hang, those whose names are `wanted`.

        Raises:
            DataError, ModelError: as `calibration.stream`.
        """
        numbered = [pair for pair in enumerate(chosen) if pair[1].name in wanted]
        self._compute([(n, layer) for n, layer in numbered if (n, layer.name) not in self._places])
        for number, layer in numbered:
            kept = self._places[number, layer.name]
            yield layer, (np.asarray(self._kept.read(place), np.float32) for place in kept)

    def _compute(self, missing: Sequence[tuple[int, Layer]]) -> None:
        if not missing:
            return
        names = sorted({layer.data for _, layer in missing})
        found: dict[tuple[int, str], list[Place]] = {(n, one.name): [] for n, one in missing}
        for index, values in enumerate(stream(self.model, self.samples, names)):
            for number, layer in missing:
                random = np.random.default_rng((index, number))
                data = values[layer.data]
                limit = positions(layer, _VALUES, _FEWEST_POSITIONS, _MOST_POSITIONS)
                x = columns(layer, data, places(layer, data.shape, limit, random))
                found[number, layer.name].append(self._kept.add(x))
        self._places |= found


def collect(
    seen: Seen,
    chosen: Sequence[Layer],
    wanted: Container[str],
    encodings: Mapping[str, Encoding],
    *,
    second: bool,
) -> Iterator[tuple[Layer, Moments]]:
    """Moments of the input of each `chosen` layer whose name is `wanted`; with `second`, both.

    What `q` holds is the float input, quantized: errors of the layers before are theirs to mend,
    and a layer that made up for them too would do so twice over.

    Raises:
        DataError, ModelError: as `calibration.stream`.
    """
    fitting = [
        layer for layer in chosen if layer.matrix.shape[2] <= LARGEST and layer.data in encodings
    ]
    for layer, columns_of in seen.columns(fitting, wanted):
        found, encoding = Moments(), encodings[layer.data]
        for x in _together(columns_of) if second else columns_of:
            found.update(x, _held(x, encoding), second=second)
        yield layer, found


def _together(columns_of: Iterator[Floats]) -> Iterator[Floats]:
    """Several samples at once, which is one large product for many small ones."""
    held: list[Floats] = []
    for x in columns_of:
        held.append(x)
        if sum(one.nbytes for one in held) > _AT_ONCE:
            yield np.concatenate(held, axis=1)
            held = []
    if held:
        yield np.concatenate(held, axis=1) if len(held) > 1 else held[0]


def _held(values: Floats, encoding: Encoding) -> Floats:
    """What becomes of values in an encoding, in float32 throughout."""
    scale, zero = np.float32(encoding.scale), np.float32(encoding.zero_point)
    held = np.divide(values, scale)
    np.rint(held, out=held)
    np.clip(held, encoding.dtype.qmin - zero, encoding.dtype.qmax - zero, out=held)
    np.multiply(held, scale, out=held)
    return held
