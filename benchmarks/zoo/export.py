"""Builds one network with random weights and exports it with PyTorch's newest exporter.

    python export.py SPEC.json OUT.onnx

It runs in the environment that requirements.txt describes and knows nothing of snapq. Latency does
not depend on the values of weights, but a compiler counts equal ones once and drops zeros: so each
weight gets some noise.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

# The wheel of torchvision is for CUDA and its kernels do not load beside a PyTorch without; no
# network here calls them, but their names must be known before torchvision is imported.
KERNELS = torch.library.Library("torchvision", "DEF")
for kernel in ("nms", "qnms"):
    KERNELS.define(f"{kernel}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

sys.path.insert(0, str(Path(__file__).resolve().parent))

OPSET = 20
MOST_BYTES_INSIDE = 1_500_000_000
"""Of weights that a file of protobuf holds; more lie beside it."""


def named(path: str) -> Any:
    """What `module:attribute` names; `file.py` of an installed package may stand for the module.

    A file is read alone, without the packages that it lies in: some import more than they need.
    """
    module, _, attribute = path.partition(":")
    if module.endswith(".py"):
        package, _, inside = module.partition("/")
        (root,) = importlib.util.find_spec(package).submodule_search_locations  # type: ignore[union-attr,misc]
        spec = importlib.util.spec_from_file_location("alone", Path(root) / inside)
        loaded = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(loaded)  # type: ignore[union-attr]
        return getattr(loaded, attribute)
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


class Flat(nn.Module):
    """A network that takes its inputs in order and gives a tuple of tensors.

    Args:
        network: any.
        names: of its arguments; in order where empty.
        outputs: keys of what it returns, or attributes; all tensors where empty.
    """

    def __init__(self, network: nn.Module, names: list[str], outputs: list[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names
        self.outputs = outputs

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The chosen outputs."""
        if self.names:
            found = self.network(**dict(zip(self.names, given, strict=True)))
        else:
            found = self.network(*given)
        if self.outputs:
            return tuple(
                found[key] if isinstance(found, dict) else getattr(found, key)
                for key in self.outputs
            )
        return tuple(_tensors(found))


class Normalized(nn.Module):
    """A network that takes pixels of 0 to 1, channels second, and normalizes each channel."""

    def __init__(self, network: nn.Module, rank: int) -> None:
        super().__init__()
        self.network = network
        shape = (1, 3, *[1] * (rank - 2))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(shape))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(shape))

    def forward(self, image: torch.Tensor) -> Any:
        """What the network gives."""
        return self.network((image - self.mean) / self.deviation)


def _tensors(found: Any) -> list[torch.Tensor]:
    if isinstance(found, torch.Tensor):
        return [found]
    inner = found.values() if isinstance(found, dict) else found
    return [tensor for item in inner if item is not None for tensor in _tensors(item)]


def build(spec: dict[str, Any]) -> nn.Module:
    """The network of an entry of networks.yaml, with every weight unlike all others."""
    torch.manual_seed(0)
    arguments = dict(spec.get("arguments", {}))
    if config := spec.get("config"):
        made = named(config)(**arguments)
        if spec.get("attention", "eager"):
            made._attn_implementation = "eager"
        network = named(spec["make"])(made)
    else:
        network = named(spec["make"])(**arguments)
    for part in spec.get("part", "").split(".") if spec.get("part") else ():
        network = getattr(network, part)
    with torch.no_grad():
        for weight in network.parameters():
            spread = float(weight.std()) if weight.numel() > 1 else 0.0
            weight.add_(torch.randn_like(weight) * (0.05 * spread or 0.02))
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.add_(torch.rand_like(value) * 0.1)
    if spec.get("normalize"):
        (shape,) = spec["inputs"].values()
        network = Normalized(network, len(shape))
    return network.eval()


def samples(inputs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    """A tensor for each input; `[shape, below]` asks for integers."""
    made = []
    for shape in inputs.values():
        if isinstance(shape[0], list):
            made.append(torch.randint(0, shape[1], shape[0], dtype=torch.int32))
        else:
            made.append(torch.rand(shape))
    return tuple(made)


def main() -> None:
    """Writes the model."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    network = build(spec)
    names = list(spec["inputs"]) if spec.get("by_name") else []
    flat = Flat(network, names, spec.get("outputs", []))
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    torch.onnx.export(
        flat.eval(),
        samples(spec["inputs"]),
        sys.argv[2],
        dynamo=True,
        opset_version=OPSET,
        input_names=list(spec["inputs"]),
        external_data=size > MOST_BYTES_INSIDE,
        verbose=False,
    )


if __name__ == "__main__":
    main()
