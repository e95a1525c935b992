"""First and second moments of what layers see, float and quantized side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.calibration import Samples, stream
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.layers import Layer, columns

__all__ = ["LARGEST", "Moments", "collect"]

LARGEST = 4608
"""Layers that see more inputs than this at once are left to plain rounding: their second moments
would take more than 80 MB."""
_POSITIONS = 192
"""Output positions of a sample that are looked at."""

Floats = npt.NDArray[np.float32]


@dataclass
class Moments:
    """Sums over the positions that were seen, by group: `x` is the input, `q` what becomes of it.

    Attributes:
        count: positions.
        x: sum of x, `[G, K]`.
        q: sum of q, `[G, K]`.
        qq: sum of q q', `[G, K, K]`.
    """

    count: int = 0
    x: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    q: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    qq: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def update(self, x: Floats, q: Floats) -> None:
        """Adds positions, `[G, positions, K]` each."""
        if not self.count:
            groups, _, width = x.shape
            self.x = np.zeros((groups, width), np.float32)
            self.q = np.zeros_like(self.x)
            self.qq = np.zeros((groups, width, width), np.float32)
        self.count += x.shape[1]
        self.x += x.sum(axis=1)
        self.q += q.sum(axis=1)
        self.qq += q.transpose(0, 2, 1) @ q


def collect(
    model: ir.Model,
    chosen: Sequence[Layer],
    encodings: Mapping[str, Encoding],
    samples: Samples,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Moments]:
    """Moments of each layer's input, by name of the layer.

    What `q` holds is the float input, quantized: errors of the layers before are theirs to mend,
    and a layer that made up for them too would do so twice over.

    Args:
        model: the float model.
        chosen: its layers.
        encodings: of the tensors that they read.
        samples: calibration samples, read once.
        progress: called with the number of samples done.

    Raises:
        DataError, ModelError: as `calibration.stream`.
    """
    fitting = [
        layer
        for layer in chosen
        if layer.matrix.shape[2] <= LARGEST and layer.data in encodings
    ]
    found = {layer.name: Moments() for layer in fitting}
    names = sorted({layer.data for layer in fitting})
    for index, values in enumerate(stream(model, samples, names, progress)):
        for number, layer in enumerate(fitting):
            random = np.random.default_rng((index, number))
            x = columns(layer, values[layer.data], _POSITIONS, random)
            encoding = encodings[layer.data]
            found[layer.name].update(x, dequantize(quantize(x, encoding), encoding))
    return found
