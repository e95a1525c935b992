"""Inputs and pictures that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snapq.graph.shapes import TensorSpec

SavePicture = Callable[..., Path]


@pytest.fixture
def photo_input() -> tuple[TensorSpec, ...]:
    return (TensorSpec("input", np.dtype(np.float32), (1, 3, 8, 8)),)


@pytest.fixture
def save_picture(tmp_path: Path) -> SavePicture:
    """Writes a picture of noise, or of given pixels, and returns its path."""

    def save(
        name: str,
        size: tuple[int, int] = (8, 8),
        mode: str = "RGB",
        pixels: np.ndarray | None = None,
        **options: object,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            seed = sum(name.encode())
            channels = len(Image.new(mode, (1, 1)).getbands())
            shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
            pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        picture = Image.fromarray(pixels)
        picture.convert(mode).save(path, **options)
        return path

    return save
