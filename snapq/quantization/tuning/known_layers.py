"""What algorithms found for layers, for all studies in which a layer and what it reads are alike.

Most steps of a preset change a few layers, and are tried with and without others. A rewrite of the
float model that changes what a layer sees changes its weight or its bias too, as the network goes
on computing what it did; so where these and the encoding of the data are the same, the layer sees
what it saw.
"""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b

from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.layers import Layer

__all__ = ["KnownLayers", "Place"]

Place = Hashable
"""A layer, what its weight is held in where no algorithm chooses, and what its data is held in."""

_MOST = 256 << 20
"""Bytes of weights that are kept; those that were found first are dropped first."""


class KnownLayers:
    """Keeps what algorithms found, by name of the algorithm and place.

    Attributes:
        together: algorithms that are tried one after the other, so that the work of one may serve
            another.
    """

    def __init__(self, together: frozenset[str] = frozenset()) -> None:
        self.together = together
        self._found: dict[tuple[str, Place], Tuned] = {}
        self._size = 0

    def place(self, layer: Layer, encoding: Encoding, data: Encoding) -> Place:
        """What a result hangs on."""
        constants = blake2b(layer.weight.tobytes(), digest_size=16)
        constants.update(b"" if layer.bias is None else layer.bias.tobytes())
        form = (layer.op_type, layer.weight.shape, layer.group, layer.transposed)
        window = (layer.kernel, layer.strides, layer.pads, layer.dilations)
        return (layer.name, form, window, constants.digest(), encoding, data)

    def get(self, algorithm: str, place: Place) -> Tuned | None:
        """What an algorithm found at a place, if it was there."""
        return self._found.get((algorithm, place))

    def keep(self, algorithm: str, place: Place, found: Tuned) -> None:
        """Keeps what an algorithm found."""
        self._found[algorithm, place] = found
        self._size += found.integers.nbytes
        while self._size > _MOST and len(self._found) > 1:
            oldest = next(iter(self._found))
            self._size -= self._found.pop(oldest).integers.nbytes
