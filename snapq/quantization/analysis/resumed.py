"""Runs models in which little is quantized, from where they differ from float on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.calibration.segments import Segments
from snapq.quantization.qdq.wide_bias import as_added

__all__ = ["Resumed"]

Feeds = Mapping[str, npt.NDArray[np.generic]]


class Resumed:
    """Outputs of models on the CPU, which were computed for float up to where they differ.

    Args:
        reference: the float model, in the form in which it is quantized.
        samples: feeds.
    """

    def __init__(self, reference: ir.Model, samples: Sequence[Feeds]) -> None:
        self._segments, self._count = Segments(reference, samples), len(samples)

    @property
    def truth(self) -> list[dict[str, npt.NDArray[np.generic]]]:
        """The float model's outputs for each sample."""
        return self._segments.truth

    def run(self, model: ir.Model) -> Iterator[Feeds] | None:
        """Outputs for each sample; None where the model is better run as a whole."""
        changed = self._segments.like(model, as_added)
        return None if changed is None else map(changed.run, range(self._count))
