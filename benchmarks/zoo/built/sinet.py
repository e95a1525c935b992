"""SINet (Park et al., 2020): portraits cut out by spatial squeeze modules, from its paper.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["SINet"]

BRANCHES = (
    *(((3, 1), (5, 1)), ((3, 1), (3, 1))),
    *(((3, 1), (5, 1)), ((3, 1), (3, 1)), ((5, 1), (3, 2)), ((5, 2), (3, 4))),
    *(((3, 1), (3, 1)), ((5, 1), (5, 1)), ((3, 2), (3, 4)), ((3, 1), (5, 2))),
)
"""Kernel and pooling of the two branches of each module: two modules, then eight."""


def _conv(given: int, taken: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(given, taken, size, stride, size // 2, groups=groups, bias=False)


def _activated(wide: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(wide), nn.PReLU(wide)]


class _Squeeze(nn.Module):
    def __init__(self, wide: int, divisor: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(wide, wide // divisor), nn.PReLU(wide // divisor)]
        if divisor > 1:
            layers += [nn.Linear(wide // divisor, wide), nn.PReLU(wide)]
        self.layers = nn.Sequential(*layers)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        channels = given.shape[1]
        pooled = nn.functional.avg_pool2d(given, list(given.shape[2:])).view(1, channels)
        return self.layers(pooled).view(1, channels, 1, 1) * given


def _down(given: int, taken: int, divisor: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(given, given, 3, 2, given),
        _Squeeze(given, divisor),
        _conv(given, taken),
        *_activated(taken),
    )


class _Branch(nn.Module):
    def __init__(self, given: int, taken: int, size: int, pooled: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(_conv(given, given, size, 1, given), *_activated(given), _conv(given, taken)),
        )
        self.last = nn.BatchNorm2d(taken)
        self.pool = nn.AvgPool2d(pooled, pooled) if pooled > 1 else nn.Identity()
        self.up = nn.UpsamplingBilinear2d(scale_factor=pooled) if pooled > 1 else nn.Identity()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.last(self.up(self.layers(self.pool(given))))


class _Module(nn.Module):
    def __init__(self, given: int, taken: int, branches: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        half = taken // 2
        self.narrow = _conv(given, half, groups=2)
        self.branches = nn.ModuleList(_Branch(half, half, *one) for one in branches)
        self.activated = nn.Sequential(*_activated(taken))
        self.adds = given == taken

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.narrow(given)
        channels, height, width = found.shape[1:]
        found = found.view(1, 2, channels // 2, height, width).transpose(1, 2)
        found = found.reshape(1, channels, height, width)
        found = torch.cat([branch(found) for branch in self.branches], 1)
        return self.activated(given + found if self.adds else found)


class SINet(nn.Module):
    """SINet for two classes, on pictures of 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 12, 3, 2), *_activated(12))
        self.down = nn.ModuleList((_down(12, 16, 1), _down(64, 48, 2)))
        self.near = nn.Sequential(_Module(16, 48, BRANCHES[0]), _Module(48, 48, BRANCHES[1]))
        far = [_Module(48, 96, BRANCHES[2]), *(_Module(96, 96, one) for one in BRANCHES[3:])]
        self.far = nn.Sequential(*far)
        self.joined = nn.ModuleList(nn.Sequential(*_activated(wide)) for wide in (64, 144))
        self.coarse = _conv(144, 2)
        self.fine = nn.Sequential(_conv(48, 2), *_activated(2))
        self.norms = nn.ModuleList((nn.BatchNorm2d(2), nn.BatchNorm2d(2)))
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)
        self.head = nn.Sequential(nn.UpsamplingBilinear2d(scale_factor=2), _conv(2, 2, 3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, 224, 224] to [1, 2, 224, 224]."""
        mean = torch.tensor([0.421, 0.454, 0.518]).view(1, 3, 1, 1)
        deviation = torch.tensor([63.97, 65.13, 68.30]).view(1, 3, 1, 1)
        first = self.down[0](self.stem((image[:, [2, 1, 0]] - mean) / deviation))
        near = self.near(first)
        second = self.down[1](self.joined[0](torch.cat([first, near], 1)))
        far = self.joined[1](torch.cat([second, self.far(second)], 1))
        coarse = self.norms[0](self.up(self.coarse(far)))
        gate = (1 - coarse.softmax(1).max(1)[0]).unsqueeze(1).expand(*coarse.shape)
        return self.head(self.norms[1](self.up(self.fine(near) * gate + coarse)))
