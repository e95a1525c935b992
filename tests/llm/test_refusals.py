"""Weights that are not taken are refused in one sentence that names the key or the tensor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snapq import api
from snapq.errors import SnapqError
from tests.llm import reference

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "another family": ({"model_type": "gemma2"}, "`model_type` is 'gemma2'"),
    "experts": ({"num_local_experts": 8}, "`num_local_experts` is 8: mixtures of experts"),
    "quantized": ({"quantization_config": {"bits": 4}}, "`quantization_config`"),
    "another gate": ({"hidden_act": "gelu"}, "`hidden_act` is 'gelu'"),
    "yarn": ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "not yarn"),
    "part of a head": ({"partial_rotary_factor": 0.5}, "`partial_rotary_factor` is 0.5"),
    "a short window": ({"model_type": "mistral", "sliding_window": 32}, "the last 32 positions"),
    "layers with windows": (
        {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 32},
        "the last 32 positions",
    ),
    "too short": ({"max_position_embeddings": 32}, "trained for 32 positions"),
    "no size": ({"hidden_size": None}, "`hidden_size` is missing"),
    "a text": ({"num_hidden_layers": "two"}, "`num_hidden_layers` is 'two', and not a whole"),
    "no number": ({"rms_norm_eps": float("inf")}, "`rms_norm_eps` is inf"),
    "more layers": ({"num_hidden_layers": 3}, "lacks the tensor 'model.layers.2.input_layernorm"),
    "fewer layers": ({"num_hidden_layers": 1}, "a tensor of another one: 'model.layers.1."),
    "odd groups": ({"num_key_value_heads": 3}, "4 heads of queries cannot share 3"),
    "other sizes": ({"intermediate_size": 81}, r"gate_proj.weight' is \[80, 48\]"),
    "no head": ({"tie_word_embeddings": False}, "no 'lm_head.weight'"),
    "fewer tokens": ({"vocab_size": 255}, r"embed_tokens.weight' is \[256, 48\]"),
}


def refused(weights: Path, output: Path, **sizes: int) -> SnapqError:
    with pytest.raises(SnapqError) as raised:
        api.llm_init(weights, output, **{"context": 64, "prefill": 16, **sizes})
    assert raised.value.exit_code == 2
    assert not output.exists()
    return raised.value


@pytest.mark.parametrize("case", CONFIGS)
def test_of_a_configuration(case: str, published: Path, tmp_path: Path) -> None:
    changed, told = CONFIGS[case]
    (published / "config.json").write_text(json.dumps({**reference.SMALL, **changed}))
    error = refused(published, tmp_path / "out")
    with pytest.raises(SnapqError, match=told):
        raise error


def test_of_tensors_of_another_kind(published: Path, tmp_path: Path) -> None:
    weights = reference.random_weights(reference.SMALL)
    weights["model.layers.0.mlp.experts.0.up_proj.weight"] = reference.torch.zeros(2, 2)
    reference.write_folder(published, reference.SMALL, weights)
    assert "experts.0.up_proj.weight" in refused(published, tmp_path / "out").what


def test_of_values_that_are_none(published: Path, tmp_path: Path) -> None:
    weights = reference.random_weights(reference.SMALL)
    weights["model.norm.weight"][3] = float("nan")
    reference.write_folder(published, reference.SMALL, weights)
    assert "'model.norm.weight' holds NaN" in refused(published, tmp_path / "out").what


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00[", b"GGUF\x03\x00\x00\x00\xff"])
def test_of_damaged_files(
    name: str, content: bytes | None, published: Path, tmp_path: Path
) -> None:
    if content is None:
        (published / name).unlink()
    else:
        (published / name).write_bytes(content)
    refused(published, tmp_path / "out")


@pytest.mark.parametrize("share", [0.001, 0.2, 0.7, 0.99])
def test_of_gguf_that_is_cut_off(share: float, tmp_path: Path) -> None:
    weights = reference.random_weights(reference.SMALL)
    file = reference.write_gguf(tmp_path / "model.gguf", reference.SMALL, weights)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    refused(file, tmp_path / "out")


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"prefill": 1}, "too short"),
        ({"context": 31}, "less than twice the 16"),
        ({"context": 1024}, "trained for 512 positions"),
    ],
)
def test_of_sizes(sizes: dict[str, int], told: str, published: Path, tmp_path: Path) -> None:
    assert told in refused(published, tmp_path / "out", **sizes).what


def test_of_a_folder_that_holds_something_else(published: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "thesis.txt").write_text("x")
    with pytest.raises(SnapqError, match="holds something else"):
        api.llm_init(published, kept, overwrite=True)
    assert (kept / "thesis.txt").exists()
