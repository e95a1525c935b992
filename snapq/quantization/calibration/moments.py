"""First and second moments of what layers see, float and quantized side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from snapq.quantization.calibration.calibrate import Samples, stream
from snapq.quantization.encodings import Encoding, Floats
from snapq.quantization.tuning.layers import Layer, columns, places, positions

__all__ = ["LARGEST", "Moments", "collect"]

LARGEST = 4608
"""Layers that see more inputs than this at once are left to plain rounding: their second moments
would take more than 80 MB."""
_MOST_POSITIONS, _FEWEST_POSITIONS = 192, 24
"""Output positions of a sample that are looked at, in between by `_VALUES`."""
_VALUES = 1 << 18
"""Values of a layer's input that are looked at, a sample."""


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


def collect(
    model: ir.Model,
    chosen: Sequence[Layer],
    encodings: Mapping[str, Encoding],
    samples: Samples,
    *,
    second: bool,
) -> dict[str, Moments]:
    """Moments of the input of each `chosen` layer, by its name; `second` ones, or means alone.

    What `q` holds is the float input, quantized: errors of the layers before are theirs to mend,
    and a layer that made up for them too would do so twice over.

    Raises:
        DataError, ModelError: as `calibration.stream`.
    """
    fitting = [
        layer for layer in chosen if layer.matrix.shape[2] <= LARGEST and layer.data in encodings
    ]
    found = {layer.name: Moments() for layer in fitting}
    names = sorted({layer.data for layer in fitting})
    for index, values in enumerate(stream(model, samples, names)):
        for number, layer in enumerate(fitting):
            random = np.random.default_rng((index, number))
            data = values[layer.data]
            limit = positions(layer, _VALUES, _FEWEST_POSITIONS, _MOST_POSITIONS)
            x = columns(layer, data, places(layer, data.shape, limit, random))
            q = _held(x, encodings[layer.data])
            found[layer.name].update(x, q, second=second)
    return found


def _held(values: Floats, encoding: Encoding) -> Floats:
    """What becomes of values in an encoding, in float32 throughout."""
    scale, zero = np.float32(encoding.scale), np.float32(encoding.zero_point)
    integers = np.rint(values / scale)
    np.clip(integers, encoding.dtype.qmin - zero, encoding.dtype.qmax - zero, out=integers)
    return np.asarray(integers * scale, np.float32)
