"""What samples show of each channel of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.calibration.calibrate import Samples, stream
from snapq.quantization.encodings import Floats
from snapq.quantization.tuning.channels.links import Link

__all__ = ["ChannelStatistics", "KnownChannels", "channel_statistics"]


@dataclass(frozen=True)
class ChannelStatistics:
    """What was seen of each channel of a tensor: extremes, mean, mean of squares, `[C]` each."""

    low: Floats
    high: Floats
    mean: Floats
    square: Floats

    @property
    def largest(self) -> Floats:
        """Largest magnitude."""
        return np.maximum(-self.low, self.high)


KnownChannels = dict[tuple[str, int], ChannelStatistics]
"""What was seen of the channels of a tensor, by its name and their axis."""


def channel_statistics(
    model: ir.Model, links: Sequence[Link], samples: Samples, known: KnownChannels
) -> dict[str, ChannelStatistics]:
    """What is seen of the channels of the links' tensors, by name.

    What is `known` is not looked at again, and what is found goes there.

    Raises:
        DataError, ModelError: as `calibration.stream`.
    """
    wanted = {str(value.name): link.axis for link in links for value in link.tensors}
    axes = {name: axis for name, axis in wanted.items() if (name, axis) not in known}
    sums: dict[str, tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}
    ends: dict[str, tuple[Floats, Floats]] = {}
    for values in stream(model, samples, sorted(axes)) if axes else ():
        for name, axis in axes.items():
            array = np.asarray(values[name], np.float32)
            rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
            low, high = rows.min(axis=1), rows.max(axis=1)
            total = rows.sum(axis=1, dtype=np.float64)
            square = np.einsum("cn,cn->c", rows, rows).astype(np.float64)
            count = rows.shape[1]
            if name in sums:
                count, total, square = (
                    new + old for new, old in zip((count, total, square), sums[name], strict=True)
                )
                low, high = np.minimum(low, ends[name][0]), np.maximum(high, ends[name][1])
            sums[name], ends[name] = (count, total, square), (low, high)
    for name, (count, total, square) in sums.items():
        known[name, axes[name]] = ChannelStatistics(
            *ends[name],
            np.asarray(total / count, np.float32),
            np.asarray(square / count, np.float32),
        )
    return {name: known[name, axis] for name, axis in wanted.items()}
