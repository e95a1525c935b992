"""RTMPose-m for whole bodies (Jiang et al., 2023) on CSPNeXt, written from its paper.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["RtmPose"]


def _layer(
    given: int, taken: int, size: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, taken, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(taken),
        nn.SiLU(),
    )


class _Block(nn.Module):
    def __init__(self, wide: int, adds: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(wide, wide, 3), _layer(wide, wide, 5, 1, wide), _layer(wide, wide)
        )
        self.adds = adds

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.layers(given)
        return found + given if self.adds else found


class _Stage(nn.Module):
    """Cross-stage partial blocks with attention over channels."""

    def __init__(self, wide: int, blocks: int, adds: bool) -> None:
        super().__init__()
        half = wide // 2
        self.left, self.right = _layer(wide, half), _layer(wide, half)
        self.blocks = nn.Sequential(*(_Block(half, adds) for _ in range(blocks)))
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, wide, 1), nn.Hardsigmoid()
        )
        self.join = _layer(wide, wide)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = torch.cat([self.blocks(self.left(given)), self.right(given)], 1)
        return self.join(found * self.attention(found))


class _Pyramid(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.narrow, self.join = _layer(wide, wide // 2), _layer(2 * wide, wide)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.narrow(given)
        return self.join(torch.cat([found, *(pool(found) for pool in self.pools)], 1))


class _Scaled(nn.Module):
    """Each row over its root mean square."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.factor, self.scale = nn.Parameter(torch.ones(1)), wide**-0.5

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.norm(given, dim=-1, keepdim=True) * self.scale
        return given / norm.clamp(min=1e-5) * self.factor


class _Gated(nn.Module):
    """A gated attention unit (Hua et al., 2022) with squared ReLU."""

    def __init__(self, wide: int = 256, inner: int = 512, keys: int = 128) -> None:
        super().__init__()
        self.norm, self.inner, self.keys = _Scaled(wide), inner, keys
        self.first = nn.Linear(wide, 2 * inner + keys, bias=False)
        self.last = nn.Linear(inner, wide, bias=False)
        self.gamma, self.beta = (nn.Parameter(torch.rand(2, keys)) for _ in range(2))
        self.beside = nn.Parameter(torch.ones(wide))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = nn.functional.silu(self.first(self.norm(given)))
        gate, values, base = found.split([self.inner, self.inner, self.keys], -1)
        query, key = (base.unsqueeze(2) * self.gamma + self.beta).unbind(2)
        weights = (query @ key.transpose(1, 2) / self.keys**0.5).relu().square()
        return given * self.beside + self.last(gate * (weights @ values))


class RtmPose(nn.Module):
    """RTMPose-m: places of 133 points along both axes."""

    def __init__(self, points: int = 133) -> None:
        super().__init__()
        layers = [_layer(3, 24, 3, 2), _layer(24, 24, 3), _layer(24, 48, 3)]
        given = 48
        for wide, blocks in ((96, 2), (192, 4), (384, 4), (768, 2)):
            layers.append(_layer(given, wide, 3, 2))
            if wide == 768:
                layers.append(_Pyramid(wide))  # type: ignore[arg-type]
            layers.append(_Stage(wide, blocks, wide < 768))  # type: ignore[arg-type]
            given = wide
        self.body = nn.Sequential(*layers, nn.Conv2d(768, points, 7, padding=3), nn.Flatten(2))
        self.mixed = nn.Sequential(_Scaled(48), nn.Linear(48, 256, bias=False), _Gated())
        self.across = nn.Linear(256, 384, bias=False)
        self.down = nn.Linear(256, 512, bias=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 3, 256, 192] to [1, points, 384] and [1, points, 512]."""
        found = self.mixed(self.body(image[:, [2, 1, 0]]))
        return self.across(found), self.down(found)
