"""The plain form of a multilayer perceptron: products with an activation between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Activation = Literal["Relu", "Sigmoid", "Tanh"]


@dataclass(frozen=True)
class Dense:
    """One layer: `x @ weights.T + offsets`.

    Attributes:
        weights: float32 [outputs, inputs].
        offsets: float32 [outputs].
    """

    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]


@dataclass(frozen=True)
class Perceptron:
    """Layers one behind the other, with the same activation behind each but the last.

    Labels, and what makes probabilities of the last layer's values, come behind it.

    Attributes:
        name: of the value that the last layer makes.
        features: F, columns of its input [N, F].
        activation: ONNX's name of what stands between the layers.
        layers: two or more.
    """

    name: str
    features: int
    activation: Activation
    layers: tuple[Dense, ...]

    @property
    def targets(self) -> int:
        """How many values there are a row."""
        return len(self.layers[-1].offsets)

    def sums(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Computes the values in float64.

        Args:
            rows: float32 [N, F].

        Returns:
            float64 [N, targets].
        """
        values: NDArray[np.float64] = rows.astype(np.float64)
        for number, layer in enumerate(self.layers):
            if number:
                values = activated(self.activation, values)
            values = values @ layer.weights.astype(np.float64).T + layer.offsets
        return values


def activated(activation: Activation, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The activation of values."""
    if activation == "Relu":
        return np.asarray(np.maximum(values, 0))
    if activation == "Tanh":
        return np.asarray(np.tanh(values))
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values))
