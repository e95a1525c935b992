"""Pairs that PyTorch's newer exporter makes of Transformers' own models, with random weights.

Needs `transformers` and `onnxscript`, which no other test does: `pip install transformers==4.57.1
onnxscript` and run this file by itself.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snapq.llm.pairs.taken import read_pair
from snapq.llm.pairs.vocabulary import read_vocabulary
from snapq.llm.pairs.writing import write_taken
from tests.llm import reference
from tests.llm.conftest import speaker

torch = reference.torch
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxscript")

ROWS, CONTEXT, LAYERS = 16, 64, 2
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 256,
    "max_position_embeddings": 512,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


class Sliding(torch.nn.Module):
    """Reads the positions in front and gives the new ones."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any, mask: Any, positions: Any, *past: Any) -> Any:
        """Logits and new keys and values."""
        cache = transformers.cache_utils.DynamicCache()
        for layer in range(LAYERS):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        done = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache
        )
        rows = ids.shape[1]
        held = [done.past_key_values[layer] for layer in range(LAYERS)]
        return done.logits, *(value[:, :, -rows:] for pair in held for value in pair)


class Static(torch.nn.Module):
    """Writes new rows at their positions into a cache of the whole context."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any, positions: Any, *past: Any) -> Any:
        """Logits and the whole cache."""
        cache = transformers.cache_utils.StaticCache(self.model.config, max_cache_len=CONTEXT)
        for layer in range(LAYERS):
            held = cache.layers[layer]
            held.lazy_initialization(past[2 * layer])
            held.keys, held.values = past[2 * layer], past[2 * layer + 1]
        done = self.model(
            input_ids=ids,
            position_ids=positions[None],
            cache_position=positions,
            past_key_values=cache,
        )
        given = [(held.keys, held.values) for held in cache.layers]
        return done.logits, *(value for pair in given for value in pair)


def model_of(kind: str, attention: str) -> Any:
    torch.manual_seed(0)
    more = {"rope_scaling": LLAMA3} if kind == "Llama" else {}
    config = getattr(transformers, f"{kind}Config")(
        **SIZES, **more, attn_implementation=attention, tie_word_embeddings=kind != "Qwen3"
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for name, parameter in model.named_parameters():
        scale = 1.2 / parameter.shape[-1] ** 0.5 if parameter.dim() == 2 else 0.3
        parameter.data = torch.randn_like(parameter) * scale + ("norm" in name)
    return model


def export(model: Any, file: Path, rows: int, static: bool) -> None:
    held = CONTEXT if static else CONTEXT - rows
    past = [torch.randn(1, 2, held, 16) for _ in range(2 * LAYERS)]
    ids = torch.zeros(1, rows).long()
    if static:
        module, arguments = Static(model), (ids, torch.arange(rows), *past)
    else:
        positions = torch.arange(held, CONTEXT)[None]
        module, arguments = Sliding(model), (ids, torch.ones(1, CONTEXT).long(), positions, *past)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, arguments, str(file), dynamo=True, opset_version=18)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "attention", "static"),
    [
        ("Llama", "eager", False),
        ("Llama", "eager", True),
        ("Qwen2", "sdpa", False),
        ("Qwen3", "sdpa", True),
    ],
)
def test_the_pair_says_what_transformers_says(
    kind: str, attention: str, static: bool, tmp_path: Path
) -> None:
    model = model_of(kind, attention)
    files = (tmp_path / "p.onnx", tmp_path / "d.onnx")
    for file, rows in zip(files, (ROWS, 1), strict=True):
        export(model, file, rows, static)
    reference.write_tokenizer(tmp_path / "tokenizer.json")
    vocabulary = read_vocabulary(tmp_path / "tokenizer.json")
    done = write_taken(read_pair(*files), vocabulary, tmp_path / "pair")
    assert done.difference < 1e-5
    ids = [int(i) for i in np.random.default_rng(3).integers(0, 256, 30)]
    run = speaker(tmp_path / "pair")
    logits, _ = run.listen(run.start(), ids)
    with torch.no_grad():
        wanted = model(torch.tensor([ids])).logits[0, -1].numpy()
    assert np.abs(logits - wanted).max() < 1e-3 * np.abs(wanted).max()
