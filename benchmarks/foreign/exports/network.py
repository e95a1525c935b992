"""The two small networks that every tool quantizes (PyTorch), and how they are trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from picture import CLASSES, SHAPE, picture, pictures
from torch import nn

__all__ = ["NETWORKS", "SHAPE", "pictures", "trained"]

_STEPS, _BATCH = 120, 32


class ConvNet(nn.Module):
    """Convolutions with what stands between them in real ones: norms, gates, sums, joins, pools."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
        )
        self.expand = nn.Sequential(nn.Conv2d(16, 24, 1), nn.Hardswish())
        self.residual = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1), nn.ReLU())
        self.left, self.right = nn.Conv2d(24, 16, 1), nn.Conv2d(24, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.classify = nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ten numbers for each picture."""
        wide = self.expand(self.depthwise(self.stem(x)))
        wide = self.pool(wide + self.residual(wide))
        both = torch.cat([torch.sigmoid(self.left(wide)), self.right(wide)], 1)
        numbers: torch.Tensor = self.classify(both.mean((2, 3)))
        return numbers


class Transformer(nn.Module):
    """One block of a vision transformer: patches, attention of two heads, a layer with GELU."""

    def __init__(self, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.places = nn.Parameter(torch.randn(1, 64, width) * 0.1)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 64), nn.Linear(64, width)
        self.gelu = nn.GELU()
        self.classify = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ten numbers for each picture."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        tokens = tokens + self.attention(self.norm1(tokens))
        tokens = tokens + self.narrow(self.gelu(self.wide(self.norm2(tokens))))
        numbers: torch.Tensor = self.classify(self.norm3(tokens).mean(1))
        return numbers

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Each token's weighted mean of all."""
        depth = self.width // self.heads

        def heads(values: torch.Tensor) -> torch.Tensor:
            return values.reshape(-1, 64, self.heads, depth).transpose(1, 2)

        query, key, value = (heads(m(x)) for m in (self.query, self.key, self.value))
        weights = torch.softmax(torch.matmul(query, key.transpose(2, 3)) * depth**-0.5, -1)
        mixed = torch.matmul(weights, value).transpose(1, 2).reshape(-1, 64, self.width)
        joined: torch.Tensor = self.out(mixed)
        return joined


NETWORKS = {"conv": ConvNet, "transformer": Transformer}


def trained(name: str, folder: Path) -> nn.Module:
    """The network, ready to infer, with the weights in `folder`, which are made where missing."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    file = folder / f"{name}.pt"
    if not file.is_file():
        _train(model)
        torch.save(model.state_dict(), file)
    model.load_state_dict(torch.load(file))
    return model.eval()


def _train(model: nn.Module) -> None:
    """Some steps on pictures of ten kinds: enough for weights that are no noise."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(_STEPS):
        found = [picture(step * _BATCH + index + 1000) for index in range(_BATCH)]
        pictures = torch.from_numpy(np.concatenate([array for array, _ in found]))
        kinds = torch.tensor([kind for _, kind in found])
        loss = nn.functional.cross_entropy(model(pictures), kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
