"""Networks on MobileNet's first version, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["PoseNet", "YamNet"]


def _separable(given: int, taken: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(given, given, 3, stride, 1, groups=given, bias=False),
        nn.BatchNorm2d(given),
        nn.ReLU6(),
        nn.Conv2d(given, taken, 1, bias=False),
        nn.BatchNorm2d(taken),
        nn.ReLU6(),
    ]


_MOBILENET = (
    *((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)),
    *(((512, 512, 1),) * 5),
)
"""Channels in and out and strides of MobileNet's blocks (Howard et al., 2017), up to stride 16."""


class YamNet(nn.Module):
    """YAMNet: MobileNet on a patch of a spectrogram, 521 classes."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 32, 3, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(32), nn.ReLU()]
        for shape in (*_MOBILENET, (512, 1024, 2), (1024, 1024, 1)):
            layers += _separable(*shape)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(1024, 521)

    def forward(self, patch: torch.Tensor) -> torch.Tensor:
        """[1, 1, 96, 64] to [1, 521]."""
        return self.head(self.body(patch)).sigmoid()


class PoseNet(nn.Module):
    """PoseNet (Papandreou et al., 2018) on MobileNet of stride 16, with its four heads."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6()]
        for shape in (*_MOBILENET, (512, 1024, 1), (1024, 1024, 1)):
            layers += _separable(*shape)
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleList(nn.Conv2d(1024, wide, 1) for wide in (17, 34, 32, 32))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores and offsets of joints."""
        found = self.body(image)
        scores, *offsets = (head(found) for head in self.heads)
        return (scores.sigmoid(), *offsets)
