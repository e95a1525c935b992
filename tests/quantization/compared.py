"""How near what was found is to what is true."""

from __future__ import annotations

import numpy as np

from snapq.evaluation.sqnr import sqnr


def decibels(truth: np.ndarray, found: np.ndarray) -> float:
    """SQNR in dB of two arrays of one shape."""
    return sqnr(float(np.square(truth).sum()), float(np.square(truth - found).sum()))
