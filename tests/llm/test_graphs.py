"""The graphs of a decoder give the logits of a decoder in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from snapq.llm.speaker import Speaker
from tests.llm import reference
from tests.llm.conftest import speaker

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
BOTH = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llama, tied": ({}, {}),
    "llama, own head, biases": ({"tie_word_embeddings": False}, {"bias": BOTH}),
    "llama 3.1": ({"rope_scaling": LLAMA3}, {}),
    "linear scaling": ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, {}),
    "one head of keys": ({"num_key_value_heads": 1}, {}),
    "as many heads of keys": ({"num_key_value_heads": 4}, {}),
    "mistral, a window beyond the context": ({"model_type": "mistral", "sliding_window": 64}, {}),
    "qwen2": ({"model_type": "qwen2", "sliding_window": 8}, {"bias": BOTH[:3]}),
    "qwen3": ({"model_type": "qwen3", "head_dim": 32}, {"qk_norm": True}),
}
TEXT = [int(i) for i in np.random.default_rng(3).integers(0, 256, 45)]


def differences(run: Speaker, wanted: Any, prompt: int) -> list[float]:
    """Of the logits behind a prompt, and behind each of the four tokens that come after."""
    found, state = run.listen(run.start(), TEXT[:prompt])
    given = [found]
    for token in TEXT[prompt : prompt + 4]:
        found, state = run.say(state, token)
        given.append(found)
    return [
        float(np.abs(one - want.numpy()).max())
        for one, want in zip(given, wanted[prompt - 1 :], strict=False)
    ]


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_pytorch(
    case: str, tmp_path: Path, written: Callable[[Path], Path]
) -> None:
    changed, kind = CASES[case]
    config = {**reference.SMALL, **changed}
    weights = reference.random_weights(config, **kind)
    wanted = reference.logits(config, weights, TEXT)
    run = speaker(written(reference.write_folder(tmp_path / "published", config, weights)))
    assert wanted.abs().max() > 3
    for prompt in (3, 37):  # within one window, and over three
        assert max(differences(run, wanted, prompt)) < 1e-3


@pytest.mark.parametrize("dtype", [reference.torch.bfloat16, reference.torch.float16])
def test_half_floats_are_read_as_they_are(
    dtype: Any, tmp_path: Path, written: Callable[[Path], Path]
) -> None:
    weights = reference.random_weights(reference.SMALL)
    rounded = {name: tensor.to(dtype).float() for name, tensor in weights.items()}
    wanted = reference.logits(reference.SMALL, rounded, TEXT)
    folder = reference.write_folder(tmp_path / "published", reference.SMALL, weights, dtype)
    assert max(differences(speaker(written(folder)), wanted, 20)) < 1e-3


def test_gguf_gives_the_same_as_safetensors(
    tmp_path: Path, written: Callable[[Path], Path]
) -> None:
    weights = reference.random_weights(reference.SMALL)
    wanted = reference.logits(reference.SMALL, weights, TEXT)
    file = reference.write_gguf(tmp_path / "model.gguf", reference.SMALL, weights)
    assert max(differences(speaker(written(file)), wanted, 20)) < 1e-3


def test_both_graphs_read_the_same_bytes(published: Path, written: Callable[[Path], Path]) -> None:
    folder = written(published)
    places = []
    for name in ("prefill.onnx", "decode.onnx"):
        graph = onnx.load(folder / name, load_external_data=False).graph
        held = {t.name: t for t in graph.initializer if t.external_data}
        places.append({n: [e.value for e in t.external_data] for n, t in held.items()})
    assert places[0] == places[1]
    assert len(places[0]) > 20
    onnx.checker.check_model(str(folder / "prefill.onnx"), full_check=True)


def test_a_whole_context_is_the_end(published: Path, written: Callable[[Path], Path]) -> None:
    run = speaker(written(published))
    logits, state = run.listen(run.start(), [i % 256 for i in range(64)])
    assert np.isfinite(logits).all()
    assert state.length == 64
    with pytest.raises(Exception, match="65 tokens are more than the context of 64"):
        run.say(state, 1)
