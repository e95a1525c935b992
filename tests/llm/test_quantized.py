"""A quantized pair: one set of encodings, a cache of integers, near to float."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq import api
from snapq.errors import SnapqError
from snapq.graph import io
from snapq.llm import rotate
from snapq.llm.equalize import CacheRanges, equalize, factors
from snapq.llm.evidence import on_cpu
from snapq.llm.files import DECODE, PREFILL, Folder
from snapq.llm.judge import all_rows, row_logits
from snapq.llm.speaker import Speaker
from snapq.llm.texts import prefill_feeds
from tests.llm import reference

QWEN3 = {"model_type": "qwen3", "head_dim": 32}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llama": ({}, {}),
    "biases": ({}, {"bias": ("q_proj", "k_proj", "v_proj", "o_proj")}),
    "qwen3": (QWEN3, {"qk_norm": True}),
}
TEXT = [int(i) for i in np.random.default_rng(5).integers(64, 90, 60)]  # letters
Write = Callable[[Path], Path]


def folder_of(tmp_path: Path, kind: str, weights: Any = None) -> Path:
    changed, drawn = KINDS[kind]
    config = {**reference.SMALL, **changed}
    weights = reference.random_weights(config, **drawn) if weights is None else weights
    return reference.write_folder(tmp_path / "published", config, weights)


def text_file(folder: Path, seed: int = 1, length: int = 120) -> Path:
    letters = np.random.default_rng(seed).integers(97, 123, length)
    path = folder / f"text{seed}.txt"
    path.write_text("".join(map(chr, letters)))
    return path


def quantized(written: Path, tmp_path: Path) -> Path:
    out = tmp_path / "w8a16"
    return api.llm_quantize(written, text_file(tmp_path), out, ["qcs9075"], overwrite=True).path


def on(model: ir.Model, folder: Folder) -> Speaker:
    from snapq.cpu import CpuModel

    run = CpuModel(model).run
    facts = folder.facts
    return Speaker(facts.layout, run, run, facts.prefill, facts.zeros)


@pytest.mark.parametrize("kind", KINDS)
def test_equalizing_leaves_the_logits_and_evens_the_channels(
    kind: str, tmp_path: Path, written: Write
) -> None:
    folder = Folder.open(written(folder_of(tmp_path, kind)))
    model = io.load(folder.path / PREFILL)
    seen, after = [CacheRanges(), CacheRanges()], []
    for step, ranges in enumerate(seen):
        given = []
        for _ in prefill_feeds(
            on(model, folder),
            [TEXT],
            16,
            lambda o, n, r=ranges, g=given: (r.see(o, n), g.append(o["logits"])),
        ):
            pass
        after.append(np.asarray(given))
        if step == 0:
            equalize(model, factors(ranges, folder.facts, shared=kind == "qwen3"), folder.facts)
    assert np.abs(after[0] - after[1]).max() < 1e-4
    values = seen[1].magnitude("present_value_1")
    assert values.max() / values.min() < 1.001
    halves = seen[1].magnitude("present_key_1").reshape(2, 2, -1).max(1)
    spread = halves.max(0) if kind == "qwen3" else halves
    assert spread.max() / spread.min() < 1.001


def test_both_graphs_share_weights_and_encodings(published: Path, written: Write, tmp_path: Path):
    folder = quantized(written(published), tmp_path)
    graphs = [onnx.load(folder / name).graph for name in (PREFILL, DECODE)]
    held = [{t.name: t.SerializeToString() for t in graph.initializer} for graph in graphs]
    common = held[0].keys() & held[1].keys()
    assert sum("weight" in name for name in common) > 40
    assert [name for name in common if held[0][name] != held[1][name]] == []
    for graph in graphs:
        types = {v.name: v.type.tensor_type.elem_type for v in [*graph.input, *graph.output]}
        cache = {name: kind for name, kind in types.items() if name.startswith(("past", "present"))}
        assert len(cache) == 8
        assert set(cache.values()) == {onnx.TensorProto.UINT8}


def test_prompt_and_tokens_are_near_to_float(
    published: Path, written: Write, tmp_path: Path
) -> None:
    floats = Folder.open(written(published))
    runs = [on_cpu(floats), on_cpu(Folder.open(quantized(floats.path, tmp_path)))]
    found = [run.listen(run.start(), TEXT[:20]) for run in runs]
    for token in TEXT[20:26]:
        found = [run.say(state, token) for run, (_, state) in zip(runs, found, strict=True)]
    wanted, given = (np.asarray(logits, np.float64) for logits, _ in found)
    assert np.square(wanted).sum() / np.square(wanted - given).sum() > 10**1.5  # 15 dB


def test_channels_of_keys_that_are_far_larger_cost_nothing(tmp_path: Path, written: Write) -> None:
    """Scaled by 64 in the keys and by 1/64 in the queries, the same model is found."""
    results = []
    for factor in (1.0, 64.0):
        weights = reference.random_weights(reference.SMALL)
        for half in (3, 11):  # a pair that RoPE turns, of the first head of keys
            weights["model.layers.0.self_attn.k_proj.weight"][half] *= factor
            for head in (0, 1):
                weights["model.layers.0.self_attn.q_proj.weight"][head * 16 + half] /= factor
        folder = Folder.open(quantized(written(folder_of(tmp_path, "llama", weights)), tmp_path))
        run = on_cpu(folder)
        results.append(run.listen(run.start(), TEXT[:20])[0])
    assert np.abs(results[0] - results[1]).max() < 0.05 * np.abs(results[0]).max()


def test_all_rows_gives_the_logits_behind_each_token(published: Path, written: Write) -> None:
    folder = Folder.open(written(published))
    every = on(all_rows(io.load(folder.path / PREFILL)), folder)
    found = np.concatenate(list(row_logits(every, TEXT[:37], 16)))
    weights = reference.random_weights(reference.SMALL)
    wanted = reference.logits(reference.SMALL, weights, TEXT[:37]).numpy()
    assert np.abs(found - wanted).max() < 1e-3


def test_what_cannot_be_quantized_is_refused(
    published: Path, written: Write, tmp_path: Path
) -> None:
    folder = written(published)
    text = text_file(tmp_path)
    done = quantized(folder, tmp_path)
    (tmp_path / "picture.txt").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "short.txt").write_text("Rome")
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((done, text, tmp_path / "x", ["qcs9075"]), "quantized already"),
        ((published, text, tmp_path / "x", ["qcs9075"]), "has no llm.json"),
        ((folder, tmp_path / "short.txt", tmp_path / "x", ["qcs9075"]), "has 4 tokens"),
        ((folder, tmp_path / "picture.txt", tmp_path / "x", ["qcs9075"]), "no text in UTF-8"),
        ((folder, tmp_path / "none.txt", tmp_path / "x", ["qcs9075"]), "cannot be read"),
        ((folder, text, tmp_path / "x", []), "No device is named"),
        ((folder, text, tmp_path / "x", ["qcs9o75"]), "qcs9o75"),
        ((folder, text, done, ["qcs9075"]), "exists"),
    ]
    for arguments, told in cases:
        with pytest.raises(SnapqError, match=told):
            api.llm_quantize(*arguments)
    with pytest.raises(SnapqError, match="would be replaced"):
        api.llm_quantize(folder, text, folder, ["qcs9075"], overwrite=True)
    with pytest.raises(SnapqError, match="quantized itself"):
        api.llm_evaluate(done, done, text, "qcs9075")


def test_graphs_of_an_earlier_form_are_written_anew(
    published: Path, written: Write, tmp_path: Path
) -> None:
    folder, text = written(published), text_file(tmp_path)
    model = onnx.load(folder / PREFILL, load_external_data=False)
    next(node for node in model.graph.node if node.name == "cosine_queries").name = "cosine"
    (folder / PREFILL).write_bytes(model.SerializeToString())
    with pytest.raises(SnapqError, match="not the form that this snapq writes") as refused:
        api.llm_quantize(folder, text, tmp_path / "out", ["qcs9075"])
    assert "llm init" in str(refused.value.hint)


def test_a_stream_too_wide_to_be_turned_has_sums_in_fp16_or_is_told(
    published: Path, written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotate, "MOST_CHANNELS", 1)
    folder, text = written(published), text_file(tmp_path)
    told = {}
    for device in ("qcs9075", "qcs6490"):  # with and without fp16
        done = api.llm_quantize(folder, text, tmp_path / device, [device])
        told[device] = [note for note in done.notes if "residual stream" in note]
    assert [len(notes) for notes in told.values()] == [1, 1]
    assert told["qcs9075"][0].startswith("Sums of the residual stream are in fp16")
    assert "as not all devices compute floats" in told["qcs6490"][0]


def test_sums_of_a_turned_stream_have_16_bits(
    published: Path, written: Write, tmp_path: Path
) -> None:
    folder = quantized(written(published), tmp_path)
    for name in (PREFILL, DECODE):
        graph = onnx.load(folder / name).graph
        readers = {one: node.op_type for node in graph.node for one in node.input}
        sums = [node for node in graph.node if ".residual" in node.name and node.op_type == "Add"]
        assert {readers[node.output[0]] for node in sums} == {"QuantizeLinear"}


def test_what_is_no_package_is_not_asked(published: Path, written: Write, tmp_path: Path) -> None:
    floats = written(published)
    done = quantized(floats, tmp_path)
    with pytest.raises(SnapqError, match="no package of a language model"):
        api.llm_check(done, floats, "rome")
    (done / "chat.py").write_text("")
    (done / "separate").mkdir()
    with pytest.raises(SnapqError, match="49 tokens; 1 to 48 leave room"):
        api.llm_check(done, floats, "a" * 49, raw=True)
    with pytest.raises(SnapqError, match="is a package"):
        api.llm_check(done, done, "rome")
    (floats / "weights.bin").unlink()
    with pytest.raises(SnapqError, match="has no weights"):
        api.llm_check(done, floats, "rome")


@pytest.mark.npu
@pytest.mark.slow
def test_a_package_talks_by_genai_as_float_does(
    published: Path, written: Write, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime_genai")
    floats = written(published)
    folder = quantized(floats, tmp_path)
    with pytest.raises(SnapqError, match="The pair is float"):
        api.llm_package(floats, tmp_path / "x", "qcs9075")
    done = api.llm_package(folder, tmp_path / "chat", "qcs9075")
    assert done.shared_bytes is not None
    assert done.shared_bytes < 0.8 * done.separate_bytes
    manifest = json.loads((done.path / "manifest.json").read_text())
    assert manifest["limits"] == {
        "context": 64,
        "prompt_window": 16,
        "longest_prompt": 48,
        "cache_bytes": 2 * 2 * 2 * 16 * 64,
    }
    assert set(manifest["files"]) >= {"chat.py", "separate/genai_config.json"}
    simulated = api.llm_generate(folder, "rome", tokens=3, device="qcs9075")
    found = api.llm_check(done.path, floats, "rome", tokens=3)
    assert found.tokens == simulated.tokens
    assert found.prompt_tokens == 4


@pytest.mark.npu
@pytest.mark.slow
def test_the_simulator_runs_the_pair(published: Path, written: Write, tmp_path: Path) -> None:
    floats = written(published)
    folder = quantized(floats, tmp_path)
    found = api.llm_evaluate(folder, floats, text_file(tmp_path, 2, 64), "qcs9075")
    assert found.tokens == 63
    assert found.agreement > 0.8
    assert found.sqnr_db > 20
    speed = api.llm_estimate(folder, "qcs9075")
    assert speed.missing_ops == 0
    said = api.llm_generate(folder, "Rome", tokens=4, device="qcs9075")
    assert len(said.tokens) > 0
