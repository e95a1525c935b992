"""The plain form of a linear model: one product and an offset a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Linear:
    """`x @ weights.T + offsets`: one value a target. Labels and post transform come behind it.

    Attributes:
        name: of the ONNX node.
        features: F, columns of its input [N, F].
        weights: float32 [targets, F].
        offsets: float32 [targets].
    """

    name: str
    features: int
    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]

    @property
    def targets(self) -> int:
        """How many values there are a row."""
        return len(self.offsets)

    def sums(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Computes the values in float64.

        Args:
            rows: float32 [N, F].

        Returns:
            float64 [N, targets].
        """
        return np.asarray(rows.astype(np.float64) @ self.weights.astype(np.float64).T) + (
            self.offsets.astype(np.float64)
        )
