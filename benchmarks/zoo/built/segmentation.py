"""Networks that give a value for each pixel, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["DeepLab", "U2Net", "UNet"]


def _twice(given: int, taken: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, taken, 3, padding=1, bias=False),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
        nn.Conv2d(taken, taken, 3, padding=1, bias=False),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """U-Net (Ronneberger et al., 2015) with padding and transposed convolutions."""

    def __init__(self, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        self.down = nn.ModuleList(map(_twice, [3, *widths[:-1]], widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * wide, wide, 2, stride=2) for wide in reversed(widths[:-1])
        )
        self.join = nn.ModuleList(_twice(2 * wide, wide) for wide in reversed(widths[:-1]))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, classes, height, width]."""
        held = []
        for level, block in enumerate(self.down):
            image = block(self.pool(image) if level else image)
            held.append(image)
        held.pop()
        for up, join in zip(self.up, self.join, strict=True):
            image = join(torch.cat([held.pop(), up(image)], 1))
        return self.head(image)


def _unit(given: int, taken: int, size: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            given, taken, size, padding=dilation * (size // 2), dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
    )


class DeepLab(nn.Module):
    """DeepLabV3+ (Chen et al., 2018) on MobileNetV2 of stride 16, with full convolutions."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        body: Any = mobilenet_v2().features[:18]
        body[14].conv[1][0].stride = (1, 1)
        for block in body[15:]:
            block.conv[1][0].dilation = block.conv[1][0].padding = (2, 2)
        self.shallow, self.deep = body[:4], body[4:]
        self.pyramid = nn.ModuleList(
            _unit(320, 256, 3 if rate > 1 else 1, rate) for rate in (1, 6, 12, 18)
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), _unit(320, 256, 1))
        self.join, self.low = _unit(1280, 256, 1), _unit(24, 48, 1)
        self.head = nn.Sequential(
            _unit(304, 256, 3), _unit(256, 256, 3), nn.Conv2d(256, classes, 1)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, classes, height, width]."""
        low = self.shallow(image)
        deep = self.deep(low)

        def resized(value: torch.Tensor, size: torch.Size) -> torch.Tensor:
            return nn.functional.interpolate(value, size, mode="bilinear", align_corners=True)

        found = [branch(deep) for branch in self.pyramid]
        found.append(resized(self.pooled(deep), deep.shape[2:]))
        joined = resized(self.join(torch.cat(found, 1)), low.shape[2:])
        return resized(self.head(torch.cat([joined, self.low(low)], 1)), image.shape[2:])


def _block(given: int, taken: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, taken, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
    )


class _Rsu(nn.Module):
    """A U-shaped residual block; `levels` below 0 has dilations instead of pooling."""

    def __init__(self, levels: int, given: int, middle: int, taken: int) -> None:
        super().__init__()
        self.pooled = levels > 0
        count = abs(levels)
        dilations = [1] * (count - 1) if self.pooled else [2**i for i in range(count - 1)]
        self.first = _block(given, taken)
        self.down = nn.ModuleList(
            _block(taken if i == 0 else middle, middle, d) for i, d in enumerate(dilations)
        )
        self.deepest = _block(middle, middle, 2 if self.pooled else 2 ** (count - 1))
        self.up = nn.ModuleList(
            _block(2 * middle, taken if i == 0 else middle, d) for i, d in enumerate(dilations)
        )
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        first = found = self.first(given)
        held = []
        for index, block in enumerate(self.down):
            found = block(self.pool(found) if index and self.pooled else found)
            held.append(found)
        found = self.deepest(found)
        for block in reversed(self.up):
            other = held.pop()
            if found.shape[2:] != other.shape[2:]:
                found = nn.functional.interpolate(found, other.shape[2:], mode="bilinear")
            found = block(torch.cat([found, other], 1))
        return found + first


class U2Net(nn.Module):
    """U2-Net (Qin et al., 2020), with the side outputs that its last convolution joins."""

    def __init__(self) -> None:
        super().__init__()
        down = ((7, 3, 32, 64), (6, 64, 32, 128), (5, 128, 64, 256), (4, 256, 128, 512))
        self.down = nn.ModuleList(
            _Rsu(*one) for one in (*down, (-4, 512, 256, 512), (-4, 512, 256, 512))
        )
        up = ((7, 128, 16, 64), (6, 256, 32, 64), (5, 512, 64, 128), (4, 1024, 128, 256))
        self.up = nn.ModuleList(_Rsu(*one) for one in (*up, (-4, 1024, 256, 512)))
        widths = (64, 64, 128, 256, 512, 512)
        self.side = nn.ModuleList(nn.Conv2d(wide, 1, 3, padding=1) for wide in widths)
        self.join = nn.Conv2d(6, 1, 1)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, 1, height, width]."""
        held = []
        found = image
        for index, block in enumerate(self.down):
            found = block(self.pool(found) if index else found)
            held.append(found)
        sides = [self.side[5](held.pop())]
        for index in range(4, -1, -1):
            other = held.pop()
            found = nn.functional.interpolate(found, other.shape[2:], mode="bilinear")
            found = self.up[index](torch.cat([found, other], 1))
            sides.append(self.side[index](found))
        size = sides[-1].shape[2:]
        scaled = [nn.functional.interpolate(one, size, mode="bilinear") for one in sides[:-1]]
        return self.join(torch.cat([sides[-1], *reversed(scaled)], 1)).sigmoid()
