"""Small networks for pictures of Fashion-MNIST, trained in seconds and written as ONNX.

Each takes `image` [1, 1, 28, 28], raw pixels 0..255, and gives `logits` [1, 10]. PyTorch trains
them with AdamW and a rate that rises and falls once, on pictures half of which are flipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from snapq.storage import atomic_path

__all__ = ["NETWORKS", "train", "write"]

_BATCH = 128


def perceptron() -> nn.Module:
    """Three layers of dot products."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip


def plain() -> nn.Module:
    """Four convolutions that follow each other."""
    sizes = ((1, 16, 2), (16, 32, 2), (32, 64, 2), (64, 64, 1))
    return _classifier(*(_convolution(*size) for size in sizes))


def separable() -> nn.Module:
    """Depthwise and pointwise convolutions in turn with ReLU6, as in MobileNet."""
    layers = [_convolution(1, 24, 2, act=nn.ReLU6)]
    for inputs, outputs, stride in ((24, 48, 2), (48, 96, 1), (96, 96, 2)):
        layers.append(_convolution(inputs, inputs, stride, groups=inputs, act=nn.ReLU6))
        layers.append(_convolution(inputs, outputs, 1, size=1, act=nn.ReLU6))
    return _classifier(*layers)


def residual() -> nn.Module:
    """Three blocks of two convolutions with a shortcut each, and SiLU."""
    return _classifier(
        _convolution(1, 24, 2, act=nn.SiLU), *(_Residual(24 * n, 24 * n + 24) for n in (1, 2, 3))
    )


NETWORKS = {one.__name__: one for one in (perceptron, plain, separable, residual)}
"""Name to what builds one."""


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 2, act=nn.SiLU)
        self.second = _convolution(outputs, outputs, 1, act=nn.Identity)
        self.shortcut = _convolution(inputs, outputs, 2, size=1, act=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.second(self.first(x)) + self.shortcut(x))


def _convolution(
    inputs: int,
    outputs: int,
    stride: int,
    *,
    size: int = 3,
    groups: int = 1,
    act: type[nn.Module] = nn.ReLU,
) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), act())


def _classifier(*layers: nn.Module) -> nn.Module:
    """The layers, the mean over all places, and a linear layer."""
    features = nn.Sequential(*layers)
    with torch.no_grad():
        width = features(torch.zeros(2, 1, 28, 28)).shape[1]
    return nn.Sequential(
        features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
    )  # fmt: skip


def train(name: str, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> nn.Module:
    """Trains one of `NETWORKS`.

    Args:
        name: of the network.
        images: uint8 `[N, 1, 28, 28]`.
        labels: `[N]`.
        epochs: passes over all pictures.
        seed: of weights, order and flips.
    """
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    pictures, targets = torch.from_numpy(images), torch.from_numpy(labels)
    steps = epochs * (len(pictures) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps, pct_start=0.25)
    for _ in range(epochs):
        order = torch.randperm(len(pictures))[: len(pictures) // _BATCH * _BATCH]
        for chosen in order.split(_BATCH):
            x = pictures[chosen].float() / 255
            flipped = torch.rand(len(x)) < 0.5
            x = torch.where(flipped[:, None, None, None], x.flip(-1), x)
            optimizer.zero_grad()
            functional.cross_entropy(network(x), targets[chosen]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


class _Raw(nn.Module):
    """A network that takes pixels of 0..255."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image / 255)


def write(network: nn.Module, path: Path) -> None:
    """Writes a trained network as ONNX that takes raw pixels."""
    with atomic_path(path) as temporary:
        torch.onnx.export(
            _Raw(network).eval(),
            (torch.zeros(1, 1, 28, 28),),
            str(temporary),
            input_names=["image"],
            output_names=["logits"],
            opset_version=17,
            dynamo=False,
        )
