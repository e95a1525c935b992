"""DDRNet-23-slim (Hong et al., 2021), written from the paper.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["DdrNet"]


def _layer(given: int, taken: int, size: int = 3, stride: int = 1, relu: bool = True) -> nn.Module:
    convolution = nn.Conv2d(given, taken, size, stride, size // 2, bias=False)
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(taken)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class _Basic(nn.Module):
    def __init__(self, given: int, taken: int, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.first = _layer(given, taken, 3, stride)
        self.second = _layer(taken, taken, relu=False)
        same = stride == 1 and given == taken
        self.beside = nn.Identity() if same else _layer(given, taken, 1, stride, relu=False)
        self.last = nn.ReLU() if relu else nn.Identity()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(self.first(given)) + self.beside(given))


class _Bottleneck(nn.Module):
    def __init__(self, given: int, middle: int, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(given, middle, 1),
            _layer(middle, middle, 3, stride),
            _layer(middle, 2 * middle, 1, relu=False),
        )
        self.beside = _layer(given, 2 * middle, 1, stride, relu=False)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.layers(given) + self.beside(given)


def _stage(given: int, taken: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_Basic(given, taken, stride), _Basic(taken, taken, relu=False))


def _before(given: int, taken: int, size: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(given, taken, size, 1, size // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(given), nn.ReLU(), convolution)


def _resized(given: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return nn.functional.interpolate(given, size=list(size), mode="bilinear")


class _Pyramid(nn.Module):
    def __init__(self, given: int, middle: int, taken: int) -> None:
        super().__init__()
        pools: list[nn.Module] = [
            nn.AvgPool2d(size, stride, size // 2) for size, stride in ((5, 2), (9, 4), (17, 8))
        ]
        pools.append(nn.AdaptiveAvgPool2d(1))
        self.whole = _before(given, middle)
        self.pooled = nn.ModuleList(nn.Sequential(pool, _before(given, middle)) for pool in pools)
        self.join = nn.ModuleList(_before(middle, middle, 3) for _ in pools)
        self.out, self.beside = _before(5 * middle, taken), _before(given, taken)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = [self.whole(given)]
        for pooled, join in zip(self.pooled, self.join, strict=True):
            found.append(join(_resized(pooled(given), given.shape[2:]) + found[-1]))
        return self.out(torch.cat(found, 1)) + self.beside(given)


class DdrNet(nn.Module):
    """Two branches that give each other what they find, at an eighth of the picture and less.

    Args:
        classes: of a pixel.
        wide: channels of the first layers.
    """

    def __init__(self, classes: int = 19, wide: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, wide, 3, 2, 1), nn.BatchNorm2d(wide), nn.ReLU()),
            *(nn.Conv2d(wide, wide, 3, 2, 1), nn.BatchNorm2d(wide), nn.ReLU()),
        )
        self.low = nn.ModuleList((_stage(wide, wide), _stage(wide, 2 * wide, 2)))
        self.third, self.fourth = _stage(2 * wide, 4 * wide, 2), _stage(4 * wide, 8 * wide, 2)
        self.fifth = _Bottleneck(8 * wide, 8 * wide, 2)
        self.fine = nn.ModuleList(_stage(2 * wide, 2 * wide) for _ in range(2))
        self.fine_last = _Bottleneck(2 * wide, 2 * wide)
        self.up = nn.ModuleList(_layer(times * wide, 2 * wide, 1, relu=False) for times in (4, 8))
        self.down = nn.ModuleList(
            (
                _layer(2 * wide, 4 * wide, 3, 2, relu=False),
                nn.Sequential(
                    _layer(2 * wide, 4 * wide, 3, 2),
                    _layer(4 * wide, 8 * wide, 3, 2, relu=False),
                ),
            )
        )
        self.pyramid = _Pyramid(16 * wide, 128, 4 * wide)
        self.head = nn.Sequential(
            _before(4 * wide, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, classes, 1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to scores of classes at an eighth of it."""
        coarse = self.low[1](self.low[0](self.stem(image)).relu()).relu()
        fine, size = coarse, (image.shape[2] // 8, image.shape[3] // 8)
        for stage, same, up, down in zip(
            (self.third, self.fourth), self.fine, self.up, self.down, strict=True
        ):
            wider, near = stage(coarse), same(fine)
            coarse = (wider + down(near.relu())).relu()
            fine = (near + _resized(up(wider.relu()), size)).relu()
        far = self.pyramid(self.fifth(coarse))
        return self.head(self.fine_last(fine) + _resized(far, size))
