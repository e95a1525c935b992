"""FFNet (Mehta et al., 2022): ResNets with a plain head for pictures of streets.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["FFNet"]


def _layer(given: int, taken: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, taken, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(taken),
        nn.ReLU(),
    )


class _Basic(nn.Module):
    def __init__(self, given: int, taken: int, stride: int) -> None:
        super().__init__()
        self.first = _layer(given, taken, 3, stride)
        self.second = _layer(taken, taken)[:2]
        self.beside = None
        if stride > 1 or given != taken:
            self.beside = _layer(given, taken, 1, stride)[:2]

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        beside = given if self.beside is None else self.beside(given)
        return (self.second(self.first(given)) + beside).relu()


def _blocks(given: int, taken: int, count: int, stride: int) -> nn.Sequential:
    rest = (_Basic(taken, taken, 1) for _ in range(count - 1))
    return nn.Sequential(_Basic(given, taken, stride), *rest)


HEADS = {"B": ((64, 128, 128, 256), (96, 96, 64, 32)), "C": ((128,) * 4, (128, 16, 16, 16))}
"""Channels of the four scales, and those of each in the head."""


class FFNet(nn.Module):
    """FFNet of four scales.

    Args:
        blocks: of each stage; three stages after a stem of stride 4, or four.
        widths: channels of the four scales.
        strides: of the stages.
        stem: channels of the first layer.
        head: of `HEADS`.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        widths: Sequence[int] = (64, 128, 192, 320),
        strides: Sequence[int] = (2, 2, 2, 2),
        stem: int = 32,
        head: str = "B",
    ) -> None:
        super().__init__()
        layers = [_layer(3, stem, 3, 2), _layer(stem, 64, 3, 2)]
        if len(blocks) == 3:
            layers.append(_layer(64, widths[0]))
            self.stem, given, taken = nn.Sequential(*layers), widths[0], widths[1:]
        else:
            self.stem, given, taken = nn.Sequential(*layers), 64, widths
        self.stages = nn.ModuleList(
            _blocks(wide, next_wide, count, stride)
            for wide, next_wide, count, stride in zip(
                (given, *taken), taken, blocks, strides, strict=False
            )
        )
        scales, outs = HEADS[head]
        self.adapt = nn.ModuleList(
            _layer(given, taken, 1) for given, taken in zip(widths, scales, strict=True)
        )
        self.smooth = nn.ModuleList(map(_layer, scales, outs))
        self.up = nn.ModuleList(
            _layer(given, taken, 1) for given, taken in zip(scales[1:], scales, strict=False)
        )
        size, middle = (3, 256) if head == "B" else (1, 128)
        self.head = nn.Sequential(
            nn.Conv2d(sum(outs), middle, size, padding=size // 2),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, 19, size, padding=size // 2),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to 19 classes at a fourth or an eighth of the size."""
        found = self.stem(image)
        scales = [found] if len(self.stages) == 3 else []
        for stage in self.stages:
            found = stage(found)
            scales += [found]
        scales = [adapt(one) for adapt, one in zip(self.adapt, scales, strict=True)]
        deep, outs = scales[3], [self.smooth[3](scales[3])]
        for level in (2, 1, 0):
            size = scales[level].shape[2:]
            deep = nn.functional.interpolate(self.up[level](deep), size) + scales[level]
            outs.append(self.smooth[level](deep))
        size = outs[-1].shape[2:]
        resized = [nn.functional.interpolate(one, size) for one in outs[-2::-1]]
        return self.head(torch.cat([outs[-1], *resized], 1))
