"""`snapq run` of a language model: a pair of graphs, text, gates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from snapq import api
from snapq.errors import SnapqError
from snapq.pipeline.run_directory import ERROR_NAME
from tests.llm import reference

DEPLOYMENT = {
    "name": "tiny",
    "model": {"prefill": "pair/prefill.onnx", "decode": "pair/decode.onnx"},
    "devices": ["qcs9075"],
    "text": {
        "calibration": "calibration.txt",
        "calibration_tokens": 160,
        "evaluation": "evaluation.txt",
        "evaluation_tokens": 64,
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pair of two layers, and text."""
    weights = reference.random_weights(reference.SMALL)
    published = reference.write_folder(tmp_path / "published", reference.SMALL, weights)
    api.llm_init(published, tmp_path / "pair", context=64, prefill=16)
    random = np.random.default_rng(1)
    for name, count in (("calibration", 300), ("evaluation", 100)):
        letters = random.choice(list("abcdefgh \n"), count)
        (tmp_path / f"{name}.txt").write_text("".join(letters))
    return tmp_path


def deployment(folder: Path, **changed: object) -> Path:
    path = folder / "deploy.yaml"
    path.write_text(yaml.safe_dump({**DEPLOYMENT, **changed}))
    return path


def test_a_plan_names_the_steps_and_what_the_pair_is(folder: Path) -> None:
    planned = api.plan(api.load(deployment(folder)), runs=folder / "runs")
    steps = [(stage.name, stage.devices, stage.cached) for stage in planned.stages]
    wanted = [("pair", ()), ("quantize", ()), ("package", ("qcs9075",))]
    assert steps == [(*step, False) for step in wanted]
    assert "2 layers, 4 heads of 16, 2 of keys" in planned.boundary[0]
    assert [(data.use, data.samples) for data in planned.data] == [
        ("calibration", 160),
        ("evaluation", 64),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"devices": ["qcs9o75"]}, "qcs9o75"),
        ({"gates": {"max_perplexity_ratio": {"sm8650": 1.1}}}, "The run has no device `sm8650`"),
        ({"model": {**DEPLOYMENT["model"], "tokenizer": "none.json"}}, "There is no tokenizer"),
        ({"model": {**DEPLOYMENT["model"], "decode": "none.onnx"}}, "none.onnx"),
        ({"text": {"calibration": "none.txt"}}, "It cannot be read"),
    ],
)
def test_what_would_fail_is_found_before_any_work(
    changed: dict[str, object], told: str, folder: Path
) -> None:
    path = deployment(folder, **changed)
    for start in (api.validate, lambda file: api.run(file, runs=folder / "runs")):
        with pytest.raises(SnapqError, match=told):
            start(path)
    assert not list((folder / "runs").rglob(ERROR_NAME))


def test_what_llm_init_writes_names_itself(folder: Path) -> None:
    config = api.load(folder / "pair" / "deploy.yaml")
    assert config.model.prefill == folder / "pair" / "prefill.onnx"
    written = api.init(folder / "pair", output=folder / "mine.yaml", device="sa8797p")
    again = api.load(written)
    assert again.model == config.model
    assert again.devices == ("sa8797p",)
    with pytest.raises(SnapqError, match=r"has no prefill\.onnx and decode\.onnx"):
        api.init(folder / "published", output=folder / "other.yaml")


@pytest.mark.npu
@pytest.mark.slow
def test_a_run_packages_proves_and_reports_a_pair(folder: Path) -> None:
    gates = {
        "max_perplexity_ratio": 2,
        "min_next_token_agreement": 0.5,
        "max_estimated_us": {"qcs9075": {"decode": 1, "prefill": 10_000}},
        "max_shared_ratio": 0.9,
        "max_bundle_mb": 50,
    }
    config = deployment(folder, gates=gates, contexts=[128])
    done = api.run(config, runs=folder / "runs")
    record = done.record
    assert {gate.name: gate.passed for gate in record.gates} == {
        "max_perplexity_ratio": True,
        "min_next_token_agreement": True,
        "max_estimated_us.qcs9075.prefill": True,
        "max_estimated_us.qcs9075.decode": False,
        "max_shared_ratio": True,
        "max_bundle_mb": True,
    }
    assert not done.passed
    assert record.perplexities[0].tokens == 63
    assert [time.context for time in record.context_times] == [64, 128]
    assert record.context_times[0].us < record.context_times[1].us
    parts = {item.part for item in record.part_times if item.graph == "decode"}
    assert parts >= {"layer 0", "layer 1", "head"}
    spent = sum(item.us for item in record.part_times if item.graph == "decode")
    assert spent == pytest.approx(record.context_times[0].us, rel=0.05)
    bundle = {file.path for file in record.bundle_files}
    assert bundle >= {f"bundle/qcs9075/{name}" for name in ("chat.py", "manifest.json", "llm.json")}
    assert "bundle/qcs9075/shared/genai_config.json" in bundle
    page = done.report.read_text()
    assert "Tokens a second" in page
    assert "layer 1" in page
    assert api.open_run(done.folder).record == record
    again = api.run(config, runs=folder / "runs")
    assert all(stage.cached for stage in again.record.stages)
    assert again.record.perplexities == record.perplexities
    compared = api.compare(done.folder, again.folder)
    shown = " ".join(row.what for row in compared.rows)
    assert all(name in shown for name in ("next token", "logits", "prefill", "decode", "shared"))
    measured = json.loads((done.folder / "measurements" / "perplexities.json").read_text())
    assert measured[0]["device"] == "qcs9075"
