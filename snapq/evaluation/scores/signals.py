"""Metrics of models whose output is a picture or a signal."""

from __future__ import annotations

import math

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Label
from snapq.evaluation.scores.base import Mean, Outputs, only

MAX_PSNR_DB = 200.0


class Psnr(Mean):
    """Mean over samples of 10 log10(peak^2 / mean squared error), in dB, at most 200.

    The label is an array of the output's shape and in its unit. The peak is the largest value of
    the label's type for unsigned integers, and 1 for real numbers.
    """

    name = "psnr"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample with its target."""
        output = only(outputs, lambda array: array.ndim >= 1, self.name, "an array")
        if not isinstance(label, np.ndarray) or label.size != output.size:
            found = "none" if label is None else f"of shape {list(np.asarray(label).shape)}"
            raise DataError(
                f"The label is {found}, and the output is of shape {list(output.shape)}.",
                where=name,
                hint="Give the wanted output as label: `arrays:` with `labels: FILE.npy`.",
            )
        target = label.reshape(output.shape).astype(np.float64)
        peak = float(np.iinfo(label.dtype).max) if label.dtype.kind == "u" else 1.0
        if label.dtype.kind != "u" and (target.min() < 0.0 or target.max() > 1.0):
            raise DataError(
                f"The label has values of {target.min():g} to {target.max():g}, so the peak of "
                "PSNR is not known.",
                where=name,
                hint="Scale labels and outputs to 0..1, or write `metric: module:function`.",
            )
        error = float(np.mean((output.astype(np.float64) - target) ** 2))
        if not math.isfinite(error):
            raise DataError("The output is not finite.", where=name, hint="Check the model.")
        tiny = peak**2 * 10 ** (-MAX_PSNR_DB / 10)
        self.add(10 * math.log10(peak**2 / max(error, tiny)))
