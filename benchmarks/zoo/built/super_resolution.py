"""Networks that enlarge pictures, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["QuickSrNet", "Xlsr"]


class QuickSrNet(nn.Module):
    """QuickSRNet (Berger et al., 2023) as deployed: its residual branches are folded.

    Args:
        channels: of every inner layer.
        layers: inner convolutions.
        scale: how many times larger the picture becomes.
    """

    def __init__(self, channels: int, layers: int, scale: int = 4, wide: bool = False) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.Hardtanh(0, 1)]
        for _ in range(layers):
            body += [nn.Conv2d(channels, channels, 3, padding=1), nn.Hardtanh(0, 1)]
        self.body = nn.Sequential(*body)
        self.last = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        self.direct = nn.Conv2d(3, 3 * scale**2, 1) if wide else None
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, 3, scale height, scale width]."""
        found = self.last(self.body(image))
        if self.direct is not None:
            found = found + self.direct(image)
        return self.shuffle(found).clamp(0, 1)


class Xlsr(nn.Module):
    """XLSR (Ayazoglu, 2021): grouped convolutions, for pictures four times as wide and high."""

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.direct = nn.Conv2d(3, 16, 3, padding=1)
        blocks: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()]
        for _ in range(3):
            blocks += [nn.Conv2d(32, 32, 3, padding=1, groups=4), nn.ReLU(), nn.Conv2d(32, 32, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.join = nn.Sequential(
            nn.Conv2d(48, 32, 1), nn.ReLU(), nn.Conv2d(32, 3 * scale**2, 3, padding=1)
        )
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, 3, scale height, scale width]."""
        joined = self.join(torch.cat([self.direct(image), self.blocks(image)], 1))
        return self.shuffle(joined).clamp(0, 1)
