"""Boxes of pictures, brought to where the picture's pixels lie in the model's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snapq.config import Preprocess
from snapq.evaluation.pictures import open_picture
from snapq.evaluation.preprocess import placement, upright_size
from snapq.evaluation.samples import Array


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as a viewer shows it; reads its header only."""
    with open_picture(path) as picture:
        return upright_size(picture)


def in_the_input(boxes: Array, size: tuple[int, int], preprocess: Preprocess) -> Array:
    """Boxes of a picture in pixels of the model's input.

    Args:
        boxes: [N, 6]: x1, y1, x2, y2 in pixels of the upright picture, class, crowd.
        size: width and height of the picture.
        preprocess: how it becomes the input.

    Returns:
        [M, 6]: what of the boxes lies inside of the input.
    """
    lies = placement(size, preprocess)
    placed = np.asarray(boxes, np.float64).reshape(-1, 6).copy()
    placed[:, :4] = placed[:, :4] * (lies.scale * 2) + lies.offset * 2
    # Of a letterbox only the picture itself counts: nothing of an object lies in the rest.
    first = np.maximum(lies.offset, 0)
    shown = np.multiply(size, lies.scale).round() + lies.offset
    last = np.minimum(shown, lies.size)
    placed[:, :4] = np.clip(placed[:, :4], [*first, *first], [*last, *last])
    return placed[((placed[:, 2:4] - placed[:, :2]) > 0).all(1)]
