"""The quantize stage finds mixes and stays as fast as fp16, and says what it did."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from snapq.config import Io, MixedPrecision, Override, QuantizeConfig
from snapq.devices.profiles import find
from snapq.errors import ConfigError
from snapq.evaluation.metrics import metrics
from snapq.evaluation.samples import Sample
from snapq.graph import boundary, io
from snapq.graph.shapes import input_specs
from snapq.stages.base import Context, Input, Source
from snapq.stages.quantize import stage as quantize
from tests.quantization.hard_models import filters_of_many_taps, small_prelus
from tests.quantization.odd_models import Builder, feeds, scalar

pytestmark = pytest.mark.slow


class Samples:
    """Samples in memory."""

    random = False
    description = "samples of the test"

    def __init__(self, model, count):
        self._feeds = feeds(model, count)

    def __len__(self):
        return len(self._feeds)

    def __iter__(self):
        return (Sample(f"sample {i}", feed) for i, feed in enumerate(self._feeds))

    def fingerprint(self):
        return "test"


def classifier():
    b = Builder()
    x = b.feed("x", 1, 8, 12, 12)
    y = b.add("Relu", b.add("Conv", x, b.normal(32, 8, 3, 3), b.normal(32)))
    y = b.add("Flatten", b.add("GlobalAveragePool", y))
    return b.model(b.add("Gemm", y, b.normal(32, 10), b.normal(10)))


def staged(model, options, tmp_path: Path, **changes):
    given = tmp_path / "given"
    given.mkdir()
    io.save(model, given / "model.onnx")
    values = {
        Input.PREVIOUS: Source(given / "model.onnx", "float", given),
        Input.DEVICES: (find("qcs9075"),),
        Input.CALIBRATION: Samples(model, 8),
        **{Input(name): value for name, value in changes.items()},
    }
    return quantize.run(options, Context(quantize.reads(options), values), tmp_path)


@pytest.mark.npu
def test_a_network_that_integers_make_slower_stays_in_fp16_and_the_note_names_the_nodes(tmp_path):
    outcome = staged(small_prelus(), QuantizeConfig(), tmp_path)
    assert outcome.precision == "fp16"
    found = outcome.details["never_slower"]
    assert found["kept_cycles"] <= found["fp16_cycles"] < found["quantized_cycles"]
    assert "slower than fp16" in outcome.notes[0]
    assert "node_prelu" in outcome.notes[0]


@pytest.mark.npu
def test_heads_of_windows_are_raced_as_they_would_be_packaged(tmp_path):
    b = Builder()
    x = b.feed("x", 256, 192)
    layers = [b.add("MatMul", x, b.normal(192, 192, scale=0.07)) for _ in range(3)]
    heads = [b.add("Reshape", one, np.array([4, 64, 4, 48])) for one in layers]
    turns = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    q, k, v = (b.add("Transpose", one, perm=p) for one, p in zip(heads, turns, strict=True))
    shares = b.add("Softmax", b.add("MatMul", b.add("Mul", q, scalar(0.14)), k), axis=-1)
    mixed = b.add("Transpose", b.add("MatMul", shares, v), perm=[0, 2, 1, 3])
    y = b.add("Reshape", mixed, np.array([256, 192]))
    for _ in range(3):
        y = b.add("MatMul", y, b.normal(192, 3072, scale=0.07))
        y = b.add("MatMul", y, b.normal(3072, 192, scale=0.02))
    options = QuantizeConfig(activations="uint16")
    outcome = staged(b.model(y), options, tmp_path, devices=(find("sa8797p"),))
    assert outcome.precision == "w8a16"
    assert not outcome.details["never_slower"]["in_fp16"]


@pytest.mark.npu
def test_where_floats_at_the_boundary_make_it_slower_the_note_says_what_codes_take(tmp_path):
    b = Builder()
    y = b.add(
        "Relu", b.add("Conv", b.feed("x", 1, 3, 128, 128), b.normal(48, 3, 3, 3), pads=[1] * 4)
    )
    model = b.model(b.add("DepthToSpace", y, blocksize=4, mode="CRD"))
    plan = boundary.plan(input_specs(model), Io(), {})
    outcome = staged(model, QuantizeConfig(), tmp_path, boundary=plan)
    assert outcome.precision == "fp16"
    assert "`io: {dtype: quantized}`) all w8a8 takes" in outcome.notes[0]


@pytest.mark.npu
def test_a_layer_that_is_quicker_at_16_bits_has_them_and_the_note_names_it(tmp_path):
    outcome = staged(filters_of_many_taps(), QuantizeConfig(), tmp_path)
    assert outcome.precision == "w8a8+w8a16"
    found = outcome.details["never_slower"]
    assert "node_conv_2" in found["at_16_bits"]
    assert "node_conv_4" not in found["at_16_bits"]
    assert found["kept_cycles"] < 0.8 * found["quantized_cycles"]
    assert "less time for that than for 8" in outcome.notes[0]
    assert not any("by the estimate" in note for note in outcome.notes[1:])


def test_what_the_user_says_of_a_node_is_not_raced(tmp_path):
    said = Override(pattern="node_conv_*", activations="uint8")
    outcome = staged(filters_of_many_taps(), QuantizeConfig(overrides=(said,)), tmp_path)
    assert outcome.precision == "w8a8"


def test_never_slower_can_be_switched_off(tmp_path):
    outcome = staged(small_prelus(), QuantizeConfig(never_slower=False), tmp_path)
    assert outcome.precision == "w8a8"
    assert "never_slower" not in outcome.details


@pytest.mark.npu
def test_without_labels_the_float_models_own_predictions_stand_in(tmp_path):
    options = QuantizeConfig(mixed_precision=MixedPrecision(max_drop=1.0))
    outcome = staged(classifier(), options, tmp_path, metrics=lambda: metrics("top1"))
    assert outcome.precision == "w8a8"
    assert any("float model's predictions" in note for note in outcome.notes)
    (only,) = json.loads((tmp_path / "tradeoff.json").read_text())
    assert only["met"]
    assert only["where"] == "simulated"
    assert only["samples"] == 2


@pytest.mark.parametrize("named", [None, "psnr"])
def test_a_drop_that_cannot_be_measured_is_refused_before_any_work(tmp_path, named):
    options = QuantizeConfig(mixed_precision=MixedPrecision(max_drop=0.01))
    with pytest.raises(ConfigError, match="min_sqnr_db"):
        staged(classifier(), options, tmp_path, metrics=lambda: metrics(named))


def test_a_budget_is_one_and_not_beside_imposed_types():
    for wrong in ({}, {"max_drop": 0.1, "min_sqnr_db": 30}):
        with pytest.raises(ValidationError, match="exactly one"):
            MixedPrecision(**wrong)
    with pytest.raises(ValidationError, match="give one of them"):
        QuantizeConfig(encodings="a.json", mixed_precision={"min_sqnr_db": 30})


def auto(**goal):
    return QuantizeConfig(precision="auto", goal=goal, preset="fast")


@pytest.mark.npu
def test_auto_takes_fp16_where_8_bits_are_good_enough_but_slower(tmp_path):
    outcome = staged(small_prelus(), auto(min_sqnr_db=5), tmp_path)
    assert outcome.precision == "fp16"
    curve = json.loads((tmp_path / "tradeoff.json").read_text())
    chosen, eight = (
        next(one for one in curve if one[key])
        for key in ("chosen", "met")  # what meets the goal first is the model at 8 bits
    )
    assert chosen["us"] < eight["us"]
    assert not (tmp_path / "sensitivity.json").exists(), "nothing had to be promoted"


@pytest.mark.npu
def test_auto_begins_with_the_nodes_that_are_faster_at_16_bits(tmp_path):
    outcome = staged(filters_of_many_taps(), auto(min_sqnr_db=25), tmp_path)
    assert outcome.precision == "w8a8+w8a16"
    assert "node_conv_2" in outcome.details["mixed_precision"]["at_16_bits"]
    assert outcome.details["mixed_precision"]["budget_met"]


@pytest.mark.npu
def test_auto_gives_more_bits_where_the_goal_asks_for_them(tmp_path):
    outcome = staged(classifier(), auto(min_sqnr_db=60), tmp_path)
    found = outcome.details["mixed_precision"]
    assert found["budget_met"]
    assert found["value"] >= 60
    assert "a16" in outcome.precision or "fp16" in outcome.precision


def one_row(width):
    """Fully connected layers of one row, in which reading the weights takes the time."""
    b = Builder()
    x = b.feed("x", 1, width)
    y = b.add("Relu", b.add("Gemm", x, b.normal(width, width), b.normal(width)))
    return b.model(b.add("Gemm", y, b.normal(width, 64), b.normal(64)))


@pytest.mark.npu
def test_auto_gives_4_bits_to_weights_where_that_is_faster_and_good_enough(tmp_path):
    outcome = staged(one_row(512), auto(min_sqnr_db=12), tmp_path)
    assert outcome.precision == "w8a8+w4a8"
    curve = json.loads((tmp_path / "tradeoff.json").read_text())
    chosen, eight = next(one for one in curve if one["chosen"]), curve[0]
    assert chosen["narrow"]
    assert chosen["where"] == "simulated"
    assert chosen["us"] < 0.8 * eight["us"]
    assert any("Weights of 4 bits, which the NPU is faster with" in n for n in outcome.notes)


@pytest.mark.npu
def test_auto_leaves_weights_at_8_bits_where_4_miss_the_goal(tmp_path):
    outcome = staged(one_row(512), auto(min_sqnr_db=30), tmp_path)
    assert outcome.precision == "w8a8"
