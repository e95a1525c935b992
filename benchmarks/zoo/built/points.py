"""Networks that find or read points, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

__all__ = ["MotionPoints", "PointNet", "SuperPointPair"]


class _Turn(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.each = _along(size, 64, 128, 1024)
        self.all = _rows(1024, 512, 256)
        self.last = nn.Linear(256, size * size)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = functional.max_pool1d(self.each(given), given.shape[-1]).flatten(1)
        turn = self.last(self.all(found)).view(-1, self.size, self.size)
        return turn + torch.eye(self.size)


def _along(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for given, taken in pairwise(widths):
        layers += [nn.Conv1d(given, taken, 1), nn.BatchNorm1d(taken), nn.ReLU()]
    return nn.Sequential(*layers)


def _rows(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for given, taken in pairwise(widths):
        layers += [nn.Linear(given, taken), nn.BatchNorm1d(taken), nn.ReLU()]
    return nn.Sequential(*layers)


class PointNet(nn.Module):
    """PointNet (Qi et al., 2017) for 10 classes, with both turns of the cloud."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = nn.ModuleList((_Turn(3), _Turn(64)))
        self.first = _along(3, 64)
        self.each = _along(64, 128, 1024)[:-1]
        self.all = _rows(1024, 512, 256)
        self.last = nn.Linear(256, 10)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, points] to scores, the points that gave the largest features, and a turn."""
        turned = torch.bmm(points.transpose(1, 2), self.turns[0](points)).transpose(1, 2)
        found = self.first(turned)
        turn = self.turns[1](found)
        found = torch.bmm(found.transpose(1, 2), turn).transpose(1, 2)
        largest, places = torch.max(self.each(found), 2)
        return functional.log_softmax(self.last(self.all(largest)), 1), places, turn


class SuperPointPair(nn.Module):
    """SuperPoint (DeTone et al., 2018) on two pictures: maps of scores and of descriptors."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for given, taken in ((1, 64), (64, 64), (64, 128), (128, 128)):
            for size in (given, taken):
                layers += [nn.Conv2d(size, taken, 3, 1, 1), nn.ReLU(), nn.BatchNorm2d(taken)]
            layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers[:-1])
        self.detector, self.descriptor = self._head(65), self._head(256)

    @staticmethod
    def _head(taken: int) -> nn.Sequential:
        return nn.Sequential(
            *(nn.Conv2d(128, 256, 3, 1, 1), nn.ReLU(), nn.BatchNorm2d(256)),
            *(nn.Conv2d(256, taken, 1), nn.BatchNorm2d(taken)),
        )

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Two [1, 3, height, width] to [1, height, width] and [1, 256, height / 8, width / 8]."""
        return (*self._one(first), *self._one(second))

    def _one(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gray = (image * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        found = self.body(gray)
        scores = self.detector(found).softmax(1)[:, :-1]
        _, _, height, width = scores.shape
        scores = scores.permute(0, 2, 3, 1).reshape(1, height, width, 8, 8)
        scores = scores.permute(0, 1, 3, 2, 4).reshape(1, height * 8, width * 8)
        return scores, functional.normalize(self.descriptor(found), p=2, dim=1)


class MotionPoints(nn.Module):
    """The detector of key points of the first order motion model (Siarohin et al., 2019)."""

    def __init__(self, points: int = 10) -> None:
        super().__init__()
        widths = [3, *(min(1024, 64 * 2**level) for level in range(5))]
        self.smaller = nn.Conv2d(3, 3, 13, 4, 6, groups=3, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(self._layer(given, taken), nn.AvgPool2d(2))
            for given, taken in pairwise(widths)
        )
        self.up = nn.ModuleList(
            self._layer(
                widths[level + 1] * (1 if level == 4 else 2), widths[level] if level else 32
            )
            for level in reversed(range(5))
        )
        self.maps, self.turns = nn.Conv2d(35, points, 7), nn.Conv2d(35, 4 * points, 7)

    @staticmethod
    def _layer(given: int, taken: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(given, taken, 3, 1, 1), nn.BatchNorm2d(taken), nn.ReLU())

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 3, height, width] to [1, points, 2] and [1, points, 2, 2]."""
        found = [self.smaller(image)]
        for layer in self.down:
            found.append(layer(found[-1]))
        deep = found.pop()
        for layer in self.up:
            larger = functional.interpolate(deep, scale_factor=2)
            deep = torch.cat([layer(larger), found.pop()], 1)
        maps = self.maps(deep)
        _, points, height, width = maps.shape
        maps = (maps.flatten(2) / 0.1).softmax(2).view(1, points, height, width)
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        values = (maps.unsqueeze(-1) * places).sum((2, 3))
        turns = maps.unsqueeze(2) * self.turns(deep).view(1, points, 4, height, width)
        return values, turns.flatten(3).sum(-1).view(1, points, 2, 2)
