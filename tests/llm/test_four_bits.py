"""Weights of 4 bits, and the residual stream turned in front of all quantization."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from snapq import api
from snapq.errors import SnapqError
from snapq.graph import io
from snapq.graph.edit import constant
from snapq.llm.files import DECODE, PREFILL, Folder
from snapq.llm.frontier import Mix, Point, on_frontier
from snapq.llm.judge import Judged, all_rows, row_logits
from snapq.llm.rotate import rotate
from snapq.llm.round_weights import layer_names, rounded_weights
from snapq.llm.wide import HEAD, wide_parts
from snapq.precision import PairPrecision
from snapq.quantization.encodings import dequantize
from snapq.records import EstimateRecord
from tests.llm import reference
from tests.llm.test_quantized import KINDS, TEXT, folder_of, on, text_file

Write = Callable[[Path], Path]
Floats = np.ndarray


def logits(model: object, folder: Folder) -> Floats:
    return np.concatenate(list(row_logits(on(all_rows(model), folder), TEXT[:40], 16)))


@pytest.mark.parametrize("kind", KINDS)
def test_turning_the_stream_leaves_the_logits(kind: str, tmp_path: Path, written: Write) -> None:
    config = {**reference.SMALL, **KINDS[kind][0]}
    weights = reference.random_weights(config, **KINDS[kind][1])
    weights["model.layers.0.mlp.down_proj.weight"][5] *= 200  # a channel far above the others
    folder = Folder.open(written(folder_of(tmp_path, kind, weights)))
    model = io.load(folder.path / PREFILL)
    before = logits(model, folder)
    down = model.graph.initializers["layers.0.down.weight_transposed"]
    channels = [np.abs(np.asarray(constant(down))).max(axis=0)]
    assert rotate(model, folder.facts)
    channels.append(np.abs(np.asarray(constant(down))).max(axis=0))
    assert np.abs(logits(model, folder) - before).max() < 1e-4 * np.abs(before).max()
    spread = [float(one.max() / np.median(one)) for one in channels]
    assert spread[0] > 100
    assert spread[1] < 10


def test_weights_of_4_bits_have_a_zero_point(
    published: Path, written: Write, tmp_path: Path
) -> None:
    """Without one the NPU's provider would store 8 bits."""
    floats = written(published)
    text, out = text_file(tmp_path, length=300), tmp_path / "w4a16"
    done = api.llm_quantize(floats, text, out, ["qcs9075"], precision="w4a16")
    assert done.precision == Folder.open(out).facts.precision == "w4a16"
    for name in (PREFILL, DECODE):
        graph = onnx.load(out / name).graph
        types = {one.name: one.data_type for one in graph.initializer}
        made = {node.output[0]: node for node in graph.node}
        products = {node.name: node for node in graph.node if node.op_type == "MatMul"}
        for layer in layer_names(Folder.open(floats).facts):
            read = made[products["logits" if layer == HEAD else layer].input[1]]
            small = layer.rpartition(".")[2] in ("q", "k", "gate", "up")
            wanted = onnx.TensorProto.INT4 if small else onnx.TensorProto.INT8
            assert read.op_type == "DequantizeLinear"
            assert [types[read.input[i]] for i in (0, 2)] == [wanted, wanted]


def test_parts_and_layers_that_are_named_keep_8_bits(
    published: Path, written: Write, tmp_path: Path
) -> None:
    floats, out = written(published), tmp_path / "mixed"
    api.llm_quantize(
        floats,
        text_file(tmp_path, length=300),
        out,
        ["qcs9075"],
        precision="w4a16",
        eight_bits=["up, down", "1"],
    )
    assert Folder.open(out).facts.eight_bits == ["up", "down", "1"]
    graph = onnx.load(out / PREFILL).graph
    kinds = {one.name.partition(".weight")[0]: one.data_type for one in graph.initializer}
    small = {name for name, kind in kinds.items() if kind == onnx.TensorProto.INT4}
    assert small == {"head", *(f"layers.0.{part}" for part in ("q", "k", "v", "o", "gate"))}


@pytest.mark.parametrize(
    ("given", "precision", "told"),
    [
        (["dwon"], "w4a16", "Did you mean 'down'"),
        (["2"], "w4a16", "Layers are 0 to 1"),
        (["q"], "w8a16", "All weights have 8 bits"),
        (["q,k,v,o,gate,up,down,head"], "w4a16", "All weights have 8 bits"),
    ],
)
def test_parts_that_are_none_are_refused(given: list[str], precision: str, told: str) -> None:
    with pytest.raises(SnapqError) as refused:
        wide_parts(given, PairPrecision(precision), 2, "--eight-bits")
    assert told in f"{refused.value.what} {refused.value.hint}"


def test_points_that_another_beats_in_both_are_not_on_the_frontier() -> None:
    times = {"w8": (900.0, 10.0), "fast": (700.0, 11.0), "worse": (800.0, 12.0)}
    found = on_frontier([point(name, *one) for name, one in times.items()])
    assert [one.mix.wide[0] for one in found if one.best] == ["w8", "fast"]


def point(name: str, us: float, perplexity: float) -> Point:
    times = {f"{name}{end}": 1 for name in ("us", "cycles") for end in ("", "_lower", "_upper")}
    estimate = EstimateRecord.model_validate(
        {
            "label": "decode",
            "device": "qcs9075",
            "estimated_on": "qcs9075",
            "missing_ops": 0,
            "ddr_bytes": {},
            "options": {},
            **times,
            "us": us,
        }
    )
    judged = Judged(100, 10.0, perplexity, 0.9, 20.0)
    return Point(Mix(PairPrecision.W4A16, (name,)), judged, estimate)


@pytest.mark.slow
@pytest.mark.npu
def test_a_mix_with_fewer_bits_has_less_traffic(
    published: Path, written: Write, tmp_path: Path
) -> None:
    text = text_file(tmp_path, length=300)
    found = api.llm_frontier(written(published), text, text, "qcs9075", eight_bits=[["down"]])
    assert [one.precision for one in found] == ["w8a16", "w4a16"]
    assert found[1].eight_bits == ("down",)
    assert found[0].agreement > found[1].agreement
    assert found[1].ddr_bytes < found[0].ddr_bytes


def test_what_rounding_spoils_is_made_up_for(
    published: Path, written: Write, tmp_path: Path
) -> None:
    folder = Folder.open(written(published))
    model = io.load(folder.path / PREFILL)
    random = np.random.default_rng(3)
    texts = [[int(i) for i in random.integers(64, 90, 60)] for _ in range(12)]
    chosen = layer_names(folder.facts)
    tuned = rounded_weights(model, folder.facts, texts, chosen)
    assert len(tuned) == len(chosen) == 15
    wanted = logits(model, folder)
    errors = []
    for plain in (False, True):
        changed = io.load(folder.path / PREFILL)
        for node in list(changed.graph):
            if node.name not in tuned:
                continue
            value = node.inputs[1]
            found = tuned[str(node.name)]
            held = dequantize(found.integers, found.encoding)
            if plain:
                weight = np.asarray(constant(value), np.float32)
                scale = np.abs(weight).max(axis=0) / 7
                held = np.rint(weight / scale) * scale
            value.const_value = onnx_tensor(held, str(value.name))
        errors.append(float(np.square(logits(changed, folder) - wanted).sum()))
    assert errors[0] < 0.5 * errors[1]


def onnx_tensor(array: Floats, name: str) -> object:
    import onnx_ir as ir

    return ir.Tensor(np.asarray(array, np.float32), name=name)


def test_a_precision_that_is_none_is_refused(
    published: Path, written: Write, tmp_path: Path
) -> None:
    with pytest.raises(SnapqError, match="no precision 'w4a8'"):
        api.llm_quantize(
            written(published), text_file(tmp_path), tmp_path / "x", ["qcs9075"], precision="w4a8"
        )
