"""`snapq llm`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snapq.cli.main import main
from tests.llm import reference


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["snapq", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_model_is_written_and_answers(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = str(tmp_path / "graphs")
    sizes = ["--context", "64", "--prefill", "16", "--json"]
    assert run(monkeypatch, "llm", "init", str(published), "--out", out, *sizes) == 0
    written = json.loads(capfd.readouterr().out)
    weights = reference.random_weights(reference.SMALL)
    assert written["parameters"] == sum(tensor.numel() for tensor in weights.values())
    asked = ["llm", "generate", out, "Rome", "--tokens", "6", "--json"]
    assert run(monkeypatch, *asked) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["prompt_tokens"] == 4
    assert said["tokens"] == greedy(published, "Rome", 6)


def greedy(published: Path, text: str, count: int) -> list[int]:
    """The likeliest tokens by PyTorch, the text computed anew for each."""
    from tokenizers import Tokenizer

    weights = reference.random_weights(reference.SMALL)
    ids = Tokenizer.from_file(str(published / "tokenizer.json")).encode(text).ids
    said: list[int] = []
    while len(said) < count:
        token = int(np.argmax(reference.logits(reference.SMALL, weights, ids + said)[-1].numpy()))
        if token == reference.SMALL["eos_token_id"]:
            break
        said.append(token)
    return said


def test_questions_are_written_by_the_chat_template(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    (published / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    out = str(tmp_path / "graphs")
    assert run(monkeypatch, "llm", "init", str(published), "-o", out, "--prefill", "16") == 0
    capfd.readouterr()
    for raw, tokens in ([], len("<user>Hi")), (["--raw"], len("Hi")):
        command = ["llm", "generate", out, "Hi", "--tokens", "1", "--json", *raw]
        assert run(monkeypatch, *command) == 0
        assert json.loads(capfd.readouterr().out)["prompt_tokens"] == tokens


def test_a_template_that_is_damaged_is_named(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (published / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{% for %}"}))
    out = str(tmp_path / "graphs")
    assert run(monkeypatch, "llm", "init", str(published), "-o", out, "--prefill", "16") == 0
    assert run(monkeypatch, "llm", "generate", out, "Hi") == 2
    assert "The chat template cannot be used" in capfd.readouterr().err
