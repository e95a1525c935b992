"""From the inputs of a package back to those of the float model: to time both on the same input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snapq.bundle.schema import BundleInput, Manifest

Array = np.ndarray[Any, np.dtype[Any]]


def float_feeds(manifest: Manifest, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the float model takes for what its package takes."""
    return {item.name: _float_feed(item, feeds[item.name]) for item in manifest.inputs}


def _float_feed(item: BundleInput, codes: Array) -> Array:
    values = codes
    if item.encoding is not None:
        steps = codes.astype(np.int64) - item.encoding.zero_point
        values = steps.astype(np.float32) * np.float32(item.encoding.scale)
    if item.permutation is not None:
        values = np.transpose(values, item.permutation)
    if item.image is not None and item.raw:
        # The encoding says what the graph computes with; the model wants the normalized picture.
        shape = [1] * len(item.model.shape)
        shape[item.channel_axis or 0] = -1
        pixels = codes if item.permutation is None else np.transpose(codes, item.permutation)
        mean, std = np.reshape(item.image.mean, shape), np.reshape(item.image.std, shape)
        values = (pixels.astype(np.float64) - mean) / std
    return np.ascontiguousarray(values, dtype=item.model.dtype)
