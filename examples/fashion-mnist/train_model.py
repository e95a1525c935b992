"""Trains the example's float model: a residual network for Fashion-MNIST, as ONNX.

    python examples/fashion-mnist/train_model.py

Writes `model/resnet.onnx`: `image` [1, 1, 28, 28], raw pixels 0..255, to `logits` [1, 10]. It has
2.7 million parameters in 8 layers, far more than the task needs: that is what pruning is shown on.
PyTorch (`pip install torch`) trains it for a few minutes on two cores; the seed is fixed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import fetch_data
import numpy as np
import onnx
import torch
import torch.nn.functional as functional
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from snapq.storage import write_bytes

HERE = Path(__file__).resolve().parent
STEM, WIDTHS = 64, (96, 192, 384)


class Normalized(nn.Module):
    """A convolution with batch normalization."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and normalizes."""
        return self.norm(self.conv(x))

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of the one convolution that does the same."""
        norm = self.norm
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * factor[:, None, None, None]
        bias = norm.bias - norm.running_mean * factor
        return weight.detach().numpy(), bias.detach().numpy()


class Block(nn.Module):
    """Two convolutions and a shortcut, at half the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Normalized(inputs, outputs, 3, 2)
        self.second = Normalized(outputs, outputs, 3, 1)
        self.shortcut = Normalized(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the block."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class Network(nn.Module):
    """The network; takes pixels of 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Normalized(1, STEM, 3, 2)
        sizes = (STEM, *WIDTHS)
        self.blocks = nn.ModuleList(map(Block, sizes[:-1], sizes[1:]))
        self.head = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [N, 1, 28, 28] to scores [N, 10]."""
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


def train(images: np.ndarray, labels: np.ndarray, epochs: int, seed: int = 0) -> Network:
    """Trains the network with SGD, a rate that rises and falls once, flips and shifts."""
    torch.manual_seed(seed)
    network = Network().to(memory_format=torch.channels_last)
    pictures = torch.from_numpy(images.astype(np.float32) / 255)
    targets = torch.from_numpy(labels)
    batch = 128
    steps = epochs * (len(pictures) // batch)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, steps, pct_start=0.25)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(pictures))[: len(pictures) // batch * batch]
        for chosen in order.split(batch):
            x = _changed(pictures[chosen]).to(memory_format=torch.channels_last)
            loss = functional.cross_entropy(network(x), targets[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * batch
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(order):.4f}, {seconds:.0f} s")
    return network.eval()


def _changed(x: Tensor) -> Tensor:
    """Flips half of the pictures, and shifts each batch by up to two pixels."""
    flipped = torch.rand(len(x)) < 0.5
    x = torch.where(flipped[:, None, None, None], x.flip(-1), x)
    down, right = (int(value) for value in torch.randint(-2, 3, (2,)))
    return functional.pad(x, (2, 2, 2, 2))[:, :, 2 + down : 30 + down, 2 + right : 30 + right]


def accuracy(network: Network, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            x = torch.from_numpy(images[start : start + 500].astype(np.float32) / 255)
            found = network(x).argmax(1).numpy()
            right += int((found == labels[start : start + 500]).sum())
    return right / len(images)


def to_onnx(network: Network) -> onnx.ModelProto:
    """The network as ONNX, normalizations and the division by 255 folded into the convolutions."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    def conv(name: str, x: str, layer: Normalized, scale: float = 1.0) -> str:
        weight, bias = layer.folded()
        size, stride = weight.shape[-1], layer.conv.stride[0]
        inputs = [x, constant(f"{name}.weight", weight * scale), constant(f"{name}.bias", bias)]
        pads = [size // 2] * 4
        nodes.append(
            helper.make_node("Conv", inputs, [name], name, pads=pads, strides=[stride, stride])
        )
        return name

    def relu(x: str) -> str:
        nodes.append(helper.make_node("Relu", [x], [f"{x}.relu"], f"{x}.relu"))
        return f"{x}.relu"

    x = relu(conv("stem", "image", network.stem, 1 / 255))
    for index, block in enumerate(network.blocks):
        name = f"block{index}"
        inner = relu(conv(f"{name}.first", x, block.first))
        branches = [
            conv(f"{name}.second", inner, block.second),
            conv(f"{name}.shortcut", x, block.shortcut),
        ]
        nodes.append(helper.make_node("Add", branches, [f"{name}.sum"], f"{name}.sum"))
        x = relu(f"{name}.sum")
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"], "pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"], "flatten"))
    head = [
        "features",
        constant("head.weight", network.head.weight.detach().numpy()),
        constant("head.bias", network.head.bias.detach().numpy()),
    ]
    nodes.append(helper.make_node("Gemm", head, ["logits"], "head", transB=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 28, 28])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "resnet", [image], [logits], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trains the example's model.")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", type=Path, default=HERE / "model" / "resnet.onnx")
    given = parser.parse_args()
    data = HERE / "data"
    fetch_data.write(data)
    arrays = {path.stem: np.load(path) for path in sorted(data.glob("*.npy"))}
    network = train(arrays["train_images"], arrays["train_labels"], given.epochs)
    write_bytes(given.output, to_onnx(network).SerializeToString(deterministic=True))
    score = accuracy(network, arrays["test_images"], arrays["test_labels"])
    print(f"{given.output}: top-1 {score:.2%} of the 10,000 test pictures, float")


if __name__ == "__main__":
    main()
