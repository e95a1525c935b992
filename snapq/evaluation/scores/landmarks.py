"""Metrics of models that find points: landmarks of faces, joints of bodies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import Mean, Outputs, only

_NEAR = 0.2


class CorrectKeypoints(Mean):
    """PCK: share of points that lie within 0.2 of the size of the label's box from their place.

    The size is the larger side of the box around the label's visible points. The output has K
    points of 2 or 3 coordinates ([1, K, 2], [1, 3 K]); of three, the last does not count. The label
    is [K, 2], or [K, 3] whose last number is 0 for a point that is not visible.
    """

    name = "pck"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample; one without visible points is left out."""
        found = _distances(outputs, label, self.name, name)
        if found is not None:
            self.add(float((found.distances <= _NEAR * max(found.width, found.height)).mean()))


class NormalizedMeanError(Mean):
    """NME: mean distance of the points from their place over the size of the label's box.

    The size is the square root of the box's area. Outputs and labels are those of `pck`.
    """

    name = "nme"

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample; one without visible points, or with a box without area, is left out."""
        found = _distances(outputs, label, self.name, name)
        if found is not None and found.width * found.height > 0:
            self.add(float(found.distances.mean()) / math.sqrt(found.width * found.height))


class _Found(NamedTuple):
    """Distances of the visible points in the unit of the coordinates, and the label's box."""

    distances: Array
    width: float
    height: float


def _distances(
    outputs: Outputs, label: Label | None, metric: str, name: str | None
) -> _Found | None:
    wanted = np.asarray(label)
    if label is None or wanted.ndim != 2 or wanted.shape[1] not in (2, 3):
        raise DataError(
            f"{metric} needs points [K, 2] or [K, 3], and the label is "
            + ("missing." if label is None else f"of shape {list(wanted.shape)}."),
            where=name,
            hint="Give them by `python:`, or as `labels: FILE.npy` of `arrays:`.",
        )
    count = len(wanted)
    what = f"{count} points of 2 or 3 coordinates"
    output = only(outputs, lambda y: _points(y, count) is not None, metric, what)
    points = _points(output, count)
    assert points is not None
    visible = wanted[:, 2] > 0 if wanted.shape[1] == 3 else np.ones(count, bool)
    if not visible.any():
        return None
    places = wanted[visible, :2].astype(np.float64)
    width, height = places.max(0) - places.min(0)
    away = points[visible].astype(np.float64) - places
    return _Found(np.hypot(away[:, 0], away[:, 1]), float(width), float(height))


def _points(output: Array, count: int) -> Array | None:
    """The output as [count, 2]; None where it has no such points."""
    for numbers in (2, 3):
        last = output.shape[-1] if output.ndim else 0
        if output.size == count * numbers and last in (numbers, output.size):
            return output.reshape(count, numbers)[:, :2]
    return None
