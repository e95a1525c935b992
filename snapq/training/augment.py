"""Changes of pictures that give a small set more to learn from.

The float original answers for the changed picture too, so labels are not needed and nothing wrong
is taught; samples with labels are not mixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snapq.training.library import Tensor, functional, torch

__all__ = ["augment"]


def augment(images: Tensor, changes: Sequence[str], rng: np.random.Generator) -> Tensor:
    """Changes a batch of pictures.

    Args:
        images: `[B, C, H, W]`.
        changes: `flip` (left to right, one in two), `crop` (a part of 35 to 100 % of the area,
            sides in the ratio 3:4 to 4:3, resized to the whole), `mix` (one in two pictures is
            blended with another of the batch).
        rng: source of chance.
    """
    if "flip" in changes:
        flipped = torch.as_tensor(rng.random(len(images)) < 0.5, device=images.device)
        images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    if "crop" in changes:
        images = torch.stack([_crop(image, rng) for image in images])
    if "mix" in changes:
        share = np.where(rng.random(len(images)) < 0.5, rng.uniform(0, 0.5, len(images)), 0.0)
        amount = torch.as_tensor(share, dtype=images.dtype, device=images.device)
        other = images[torch.as_tensor(rng.permutation(len(images)), device=images.device)]
        images = torch.lerp(images, other, amount[:, None, None, None])
    return images


def _crop(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A random part, resized: `[C, H, W]` to `[C, H, W]`."""
    _, height, width = image.shape
    area = rng.uniform(0.35, 1.0)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    rows = int(np.clip(round(height * np.sqrt(area / ratio)), 1, height))
    columns = int(np.clip(round(width * np.sqrt(area * ratio)), 1, width))
    top = int(rng.integers(height - rows + 1))
    left = int(rng.integers(width - columns + 1))
    part = image[None, :, top : top + rows, left : left + columns]
    resized: Tensor = functional.interpolate(
        part, size=(height, width), mode="bilinear", align_corners=False
    )
    return resized[0]
