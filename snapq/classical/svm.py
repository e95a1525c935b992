"""The plain form of a support vector machine: a kernel, its vectors, and decision values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kernel = Literal["LINEAR", "POLY", "RBF", "SIGMOID"]


@dataclass(frozen=True)
class SupportVectors:
    """`kernel(x, vectors) @ coefficients.T + offsets`: D decision values a row.

    LINEAR is `x v`, POLY `(gamma x v + coef0) ** degree`, RBF `exp(-gamma |x - v|^2)` and SIGMOID
    `tanh(gamma x v + coef0)`. Of a classifier with K classes D is K (K - 1) / 2, one decision a
    pair of classes (0, 1), (0, 2) … (1, 2) …; of a regressor it is 1. Votes, probabilities and
    labels are steps behind it.

    Attributes:
        name: of the ONNX node.
        features: F, columns of its input [N, F].
        kernel: its name in ONNX.
        gamma: factor of RBF, POLY and SIGMOID.
        coef0: summand of POLY and SIGMOID.
        degree: exponent of POLY.
        vectors: float32 [S, F].
        coefficients: float32 [D, S]; 0 where a vector has no part in a decision.
        offsets: float32 [D] (`rho`).
    """

    name: str
    features: int
    kernel: Kernel
    gamma: float
    coef0: float
    degree: float
    vectors: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    offsets: NDArray[np.float32]

    @property
    def targets(self) -> int:
        """D, decision values a row."""
        return len(self.offsets)

    def sums(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Computes the decision values in float64.

        Args:
            rows: float32 [N, F].

        Returns:
            float64 [N, D].
        """
        x, vectors = rows.astype(np.float64), self.vectors.astype(np.float64)
        kernel = x @ vectors.T
        if self.kernel == "RBF":
            own = (x * x).sum(1)[:, None]
            squares = own + (vectors * vectors).sum(1) - 2 * kernel
            # A row with an infinity is infinitely far, where inf - inf would be no number.
            squares = np.where(np.isinf(own), own, squares)
            kernel = np.exp(-self.gamma * np.maximum(squares, 0))
        elif self.kernel == "POLY":
            kernel = (self.gamma * kernel + self.coef0) ** self.degree
        elif self.kernel == "SIGMOID":
            kernel = np.tanh(self.gamma * kernel + self.coef0)
        return np.asarray(kernel @ self.coefficients.astype(np.float64).T + self.offsets)
