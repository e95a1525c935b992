"""Lite-HRNet-18 (Yu et al., 2021), written from the paper and its code.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

__all__ = ["LiteHrNet"]

Levels = list[torch.Tensor]


def _layer(given: int, taken: int, last: nn.Module | None = None) -> nn.Sequential:
    """One tap, a normalization and what comes behind."""
    layers = [nn.Conv2d(given, taken, 1, bias=False), nn.BatchNorm2d(taken)]
    return nn.Sequential(*layers, *([last] if last is not None else []))


def _depthwise(wide: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide))


def _separable(given: int, taken: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    last = nn.ReLU() if relu else None
    return nn.Sequential(_depthwise(given, stride), _layer(given, taken, last))


def _shuffled(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Two halves, channel by channel."""
    both = torch.cat([left, right], 1)
    count, wide, height, width = both.shape
    parts = both.view(count, 2, wide // 2, height, width).transpose(1, 2)
    return parts.reshape(count, wide, height, width)


class _Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self.first = nn.Sequential(first, nn.BatchNorm2d(32), nn.ReLU())
        self.beside = _separable(16, 16, 2)
        self.layers = nn.Sequential(
            _layer(16, 32, nn.ReLU()), _depthwise(32, 2), _layer(32, 16, nn.ReLU())
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        left, right = self.first(image).chunk(2, 1)
        return _shuffled(self.beside(left), self.layers(right))


class _Weighted(nn.Module):
    """Channels weighted by their means."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide // 4, 1), nn.ReLU()),
            *(nn.Conv2d(wide // 4, wide, 1), nn.Sigmoid()),
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given * self.gate(given)


class _Block(nn.Module):
    """Conditional channel weighting: halves of all levels, weighted by all levels together."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.halves = [wide // 2 for wide in widths]
        whole = sum(self.halves)
        self.gate = nn.Sequential(
            _layer(whole, whole // 8, nn.ReLU()), _layer(whole // 8, whole, nn.Sigmoid())
        )
        self.layers = nn.ModuleList(
            nn.Sequential(_depthwise(wide), _Weighted(wide)) for wide in self.halves
        )

    def forward(self, levels: Levels) -> Levels:
        pairs = [one.chunk(2, 1) for one in levels]
        size = levels[-1].shape[2:]
        small = [nn.functional.adaptive_avg_pool2d(right, size) for _, right in pairs[:-1]]
        weights = self.gate(torch.cat([*small, pairs[-1][1]], 1)).split(self.halves, 1)
        found = []
        for (left, right), weight, layer in zip(pairs, weights, self.layers, strict=True):
            grown = nn.functional.interpolate(weight, right.shape[2:], mode="nearest")
            found.append(_shuffled(left, layer(right * grown)))
        return found


def _across(given: int, taken: int, steps: int) -> nn.Module:
    """From one level to another, `steps` below; above where negative, the same where 0."""
    if steps == 0:
        return nn.Identity()
    if steps < 0:
        return nn.Sequential(_layer(given, taken), nn.Upsample(scale_factor=2**-steps))
    some = [_separable(given, given, 2) for _ in range(steps - 1)]
    return nn.Sequential(*some, _separable(given, taken, 2, relu=False))


class _Module(nn.Module):
    """Two blocks, and all levels given to all."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_Block(widths), _Block(widths))
        self.fuse = nn.ModuleList(
            nn.ModuleList(
                _across(given, taken, level - source) for source, given in enumerate(widths)
            )
            for level, taken in enumerate(widths)
        )

    def forward(self, levels: Levels) -> Levels:
        levels = self.blocks(levels)
        found = []
        for ways in self.fuse:
            parts = [way(one) for way, one in zip(ways, levels, strict=True)]
            whole = parts[0]
            for part in parts[1:]:
                whole = whole + part
            found.append(whole.relu())
        return found


class LiteHrNet(nn.Module):
    """Heat maps of points, and where each is highest.

    Args:
        points: of a person.
    """

    WIDTHS = (40, 80, 160, 320)

    def __init__(self, points: int = 17) -> None:
        super().__init__()
        self.stem, widths = _Stem(), self.WIDTHS
        self.first = _separable(32, widths[0])
        lasts = (32, *widths[1:-1])
        self.below = nn.ModuleList(
            _separable(given, taken, 2) for given, taken in zip(lasts, widths[1:], strict=True)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Module(widths[: level + 2]) for _ in range(count)))
            for level, count in enumerate((2, 4, 2))
        )
        ups = (*reversed(widths), widths[0])
        self.up = nn.ModuleList(_separable(given, taken) for given, taken in pairwise(ups))
        self.head = nn.Conv2d(widths[0], points, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, 256, 192] to places, scores and maps of points."""
        found = self.stem(image)
        levels = [self.first(found)]
        for below, stage in zip(self.below, self.stages, strict=True):
            levels = stage([*levels, below(found)])
            found = levels[-1]
        for up, level in zip(self.up, reversed(levels), strict=True):
            if level is not levels[-1]:
                bigger = nn.functional.interpolate(
                    found, level.shape[2:], mode="bilinear", align_corners=True
                )
                level = level + bigger
            found = up(level)
        maps = self.head(found)
        scores, places = maps.flatten(2).max(-1)
        width = maps.shape[3]
        return torch.stack([places % width, places // width], -1).int(), scores, maps
