"""The networks of EasyOCR, which find and read words, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["Craft", "Crnn"]


def _layer(given: int, taken: int, *, size: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(given, taken, size, 1, size // 2), nn.BatchNorm2d(taken), nn.ReLU()]


class Craft(nn.Module):
    """CRAFT (Baek et al., 2019): scores of characters and of the links between them."""

    ENDS = (12, 19, 29, 39)
    """Of the parts of VGG-16 whose features are read."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import vgg16_bn

        body = vgg16_bn(weights=None).features
        starts = (0, *self.ENDS)
        self.parts = nn.ModuleList(
            body[start:end] for start, end in zip(starts, self.ENDS, strict=False)
        )
        self.parts.append(
            nn.Sequential(
                nn.MaxPool2d(3, 1, 1),
                nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
                nn.Conv2d(1024, 1024, 1),
            )
        )
        self.up = nn.ModuleList(
            nn.Sequential(*_layer(deep + shallow, 2 * taken, size=1), *_layer(2 * taken, taken))
            for deep, shallow, taken in (
                (1024, 512, 256),
                (256, 512, 128),
                (128, 256, 64),
                (64, 128, 32),
            )
        )
        head: list[nn.Module] = []
        for given, taken, size in ((32, 32, 3), (32, 32, 3), (32, 16, 3), (16, 16, 1)):
            head += [nn.Conv2d(given, taken, size, 1, size // 2), nn.ReLU()]
        self.head = nn.Sequential(*head, nn.Conv2d(16, 2, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, height / 2, width / 2, 2]."""
        *shallow, deep = self._features(image)
        for layer, beside in zip(self.up, reversed(shallow), strict=True):
            if deep.shape[2:] != beside.shape[2:]:
                deep = functional.interpolate(deep, beside.shape[2:], mode="bilinear")
            deep = layer(torch.cat([deep, beside], 1))
        return self.head(deep).permute(0, 2, 3, 1)

    def _features(self, image: torch.Tensor) -> list[torch.Tensor]:
        found = [image]
        for part in self.parts:
            found.append(part(found[-1]))
        return found[1:]


class Crnn(nn.Module):
    """CRNN (Shi et al., 2015) on VGG, with two layers of LSTMs in both directions.

    Args:
        classes: characters.
        width: of the last features.
    """

    def __init__(self, classes: int = 97, width: int = 256) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        given = 1
        for taken, normal, pool in (
            (width // 8, False, 2),
            (width // 4, False, 2),
            (width // 2, False, 0),
            (width // 2, False, (2, 1)),
            (width, True, 0),
            (width, True, (2, 1)),
        ):
            steps.append(nn.Conv2d(given, taken, 3, 1, 1, bias=not normal))
            steps += [nn.BatchNorm2d(taken)] if normal else []
            steps += [nn.ReLU(), *([nn.MaxPool2d(pool)] if pool else [])]
            given = taken
        self.body = nn.Sequential(*steps, nn.Conv2d(width, width, 2), nn.ReLU())
        self.along = nn.ModuleList(
            nn.LSTM(width, width, bidirectional=True, batch_first=True) for _ in range(2)
        )
        self.rows = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.out = nn.Linear(width, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 1, height, width] of 0 to 1 to [1, width / 4 - 1, classes]."""
        found = self.body((image - 0.5) / 0.5).permute(0, 3, 1, 2)
        found = functional.adaptive_avg_pool2d(found, (found.shape[2], 1)).squeeze(3)
        for along, rows in zip(self.along, self.rows, strict=True):
            found = rows(along(found)[0])
        return self.out(found)
