"""RangeNet++ (Milioto et al., 2019): classes of a turning lidar's points, on DarkNet-53.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["RangeNet"]


def _activated(wide: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(wide), nn.LeakyReLU(0.1)]


class _Residual(nn.Module):
    def __init__(self, wide: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(wide, inner, 1, bias=False), *_activated(inner)),
            *(nn.Conv2d(inner, wide, 3, 1, 1, bias=False), *_activated(wide)),
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given + self.layers(given)


class RangeNet(nn.Module):
    """RangeNet53++ for 20 classes; strides are along the turn alone."""

    def __init__(self) -> None:
        super().__init__()
        widths, blocks = (32, 64, 128, 256, 512, 1024), (1, 2, 8, 8, 4)
        self.stem = nn.Sequential(nn.Conv2d(5, 32, 3, 1, 1, bias=False), *_activated(32))
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(given, taken, 3, (1, 2), 1, bias=False),
                *_activated(taken),
                *(_Residual(taken, given) for _ in range(count)),
            )
            for given, taken, count in zip(widths, widths[1:], blocks, strict=False)
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(given, taken, (1, 4), (1, 2), (0, 1)),
                *_activated(taken),
                _Residual(taken, given),
            )
            for given, taken in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(32, 20, 3, 1, 1)

    def forward(self, lidar: torch.Tensor) -> torch.Tensor:
        """[1, 5, 64, 2048] to [1, 20, 64, 2048]."""
        held = [self.stem(lidar)]
        for block in self.down:
            held += [block(held[-1])]
        found = held.pop()
        for block in self.up:
            found = block(found) + held.pop()
        return self.head(found)
