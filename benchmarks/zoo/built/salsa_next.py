"""SalsaNext (Cortinhal et al., 2020): classes of a turning lidar's points, from its paper.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SalsaNext"]


def _layer(given: int, taken: int, size: int, dilation: int = 1) -> nn.Sequential:
    padding = 1 if size == 2 else dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(given, taken, size, padding=padding, dilation=dilation),
        nn.LeakyReLU(),
        nn.BatchNorm2d(taken),
    )


class _Context(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        self.first = _layer(given, 32, 1)[:2]
        self.rest = nn.Sequential(_layer(32, 32, 3), _layer(32, 32, 3, 2))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        first = self.first(given)
        return first + self.rest(first)


class _Three(nn.Module):
    """Three layers one behind the other, side by side in a fourth."""

    def __init__(self, given: int, wide: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            (_layer(given, wide, 3), _layer(wide, wide, 3, 2), _layer(wide, wide, 2, 2))
        )
        self.join = _layer(3 * wide, wide, 1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        held = []
        for layer in self.layers:
            given = layer(given)
            held += [given]
        return self.join(torch.cat(held, 1))


class _Down(nn.Module):
    def __init__(self, given: int, taken: int) -> None:
        super().__init__()
        self.beside, self.three = _layer(given, taken, 1)[:2], _Three(given, taken)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.beside(given) + self.three(given)


class SalsaNext(nn.Module):
    """SalsaNext for 20 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.context = nn.Sequential(_Context(5), _Context(32), _Context(32))
        widths = (32, 64, 128, 256, 256, 256)
        self.down = nn.ModuleList(map(_Down, widths, widths[1:]))
        self.pool, self.shuffle = nn.AvgPool2d(3, 2, 1), nn.PixelShuffle(2)
        shapes = ((256, 256, 128), (128, 256, 128), (128, 128, 64), (64, 64, 32))
        self.up = nn.ModuleList(_Three(deep // 4 + side, wide) for deep, side, wide in shapes)
        self.head = nn.Conv2d(32, 20, 1)

    def forward(self, lidar: torch.Tensor) -> torch.Tensor:
        """[1, 5, 64, 2048] to [1, 20, 64, 2048]."""
        found = self.context(lidar)
        held = []
        for level, block in enumerate(self.down):
            found = block(self.pool(found) if level else found)
            held += [found]
        held.pop()
        for block in self.up:
            found = block(torch.cat([self.shuffle(found), held.pop()], 1))
        return self.head(found).softmax(1)
