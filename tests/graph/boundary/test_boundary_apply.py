"""The finished model with its boundary: same values, every node on the NPU, fewer cycles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from snapq.config import Io, Preprocess
from snapq.devices.profiles import find
from snapq.errors import ModelError
from snapq.evaluation.samples import Sample
from snapq.graph import io as model_files
from snapq.graph.boundary import Applied, apply, fold_normalization, plan
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.options import CompileOptions
from snapq.precision import ActivationType
from snapq.quantization.lint.run import lint
from tests.graph.boundary.small_models import (
    IMAGENET,
    WHOLE,
    build,
    conv_net,
    image_samples,
    quantized,
    run,
)

QCS9075 = find("qcs9075")


def cycles(model: ir.Model, folder: Path, *, fp16: bool = False) -> int:
    """Estimated cycles on SoC 77; an error where a node is not on the NPU."""
    path = folder / "model.onnx"
    model_files.save(model, path)
    return estimate(path, QCS9075, CompileOptions(fp16=fp16)).cycles


def give_boundary(
    model: ir.Model,
    preprocess: Preprocess,
    io: Io | None = None,
    activations: ActivationType = ActivationType.UINT8,
) -> tuple[ir.Model, Applied, Sequence[Sample]]:
    """The Q/DQ model of a picture model, the same with its boundary, and the samples."""
    (spec,) = input_specs(model)
    chosen = plan([spec], io or Io(), {spec.name: preprocess})
    samples = image_samples(spec.shape, preprocess, name=spec.name)
    folded = fold_normalization(model, chosen)
    with_codes = quantized(folded, chosen, samples, activations=activations)
    return with_codes, apply(with_codes, chosen), samples


@pytest.mark.parametrize("activations", list(ActivationType))
@pytest.mark.parametrize("preprocess", [WHOLE, IMAGENET])
@pytest.mark.parametrize("io", [Io(), Io(layout="as-is"), Io(dtype="float"), Io(layout="nhwc")])
def test_the_package_computes_what_the_quantized_model_does(
    io: Io, preprocess: Preprocess, activations: ActivationType
) -> None:
    with_codes, applied, samples = give_boundary(
        conv_net(pads=[1, 1, 1, 1]), preprocess, io, activations
    )
    boundary = applied.boundary
    for sample in samples:
        expected = run(with_codes, boundary.model_feeds(sample))
        found = boundary.package_outputs(run(applied.model, boundary.package_feeds(sample)))
        np.testing.assert_array_equal(found["scores"], expected["scores"])
    assert lint(applied.model, 68) == ()


def test_raw_frames_stay_8_bit_where_activations_have_16() -> None:
    _, applied, _ = give_boundary(conv_net(), WHOLE, activations=ActivationType.UINT16)
    assert applied.boundary.inputs[0].dtype == "uint8"
    assert applied.boundary.outputs[0].dtype == "uint16"


@pytest.mark.npu
def test_rank_4_outputs_come_channels_last_where_asked(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["mask"], "sigmoid"),
    ]
    weights = random.normal(0, 0.3, (5, 3, 3, 3)).astype(np.float32)
    model = build(nodes, {"image": [1, 3, 16, 24]}, ["mask"], {"w": weights})
    with_codes, applied, samples = give_boundary(model, WHOLE, Io(layout="nhwc"))
    assert applied.boundary.outputs[0].shape == (1, 16, 24, 5)
    feeds = applied.boundary.package_feeds(samples[0])
    found = run(applied.model, feeds)
    assert found["mask"].shape == (1, 16, 24, 5)
    expected = run(with_codes, applied.boundary.model_feeds(samples[0]))["mask"]
    read = applied.boundary.package_outputs(found)["mask"]
    np.testing.assert_array_equal(read, expected)
    assert cycles(applied.model, tmp_path)


@pytest.mark.npu
def test_the_boundary_makes_a_small_network_faster(tmp_path: Path) -> None:
    with_codes, applied, _ = give_boundary(conv_net(size=64, pads=[1, 1, 1, 1]), WHOLE)
    assert cycles(applied.model, tmp_path) < 0.8 * cycles(with_codes, tmp_path)


@pytest.mark.npu
def test_a_float_model_takes_the_same_frames_and_gives_floats(tmp_path: Path) -> None:
    model = conv_net(size=32, pads=[1, 1, 1, 1])
    for preprocess in (WHOLE, IMAGENET):
        chosen = plan(input_specs(model), Io(), {"image": preprocess})
        applied = apply(fold_normalization(model, chosen), chosen)
        (sample,) = image_samples((1, 3, 32, 32), preprocess, 1)
        feeds = applied.boundary.package_feeds(sample)
        assert feeds["image"].dtype == np.uint8
        found = applied.boundary.package_outputs(run(applied.model, feeds))["scores"]
        np.testing.assert_allclose(found, run(model, sample.feeds)["scores"], atol=1e-5)
        assert cycles(applied.model, tmp_path, fp16=True)


def several_inputs() -> ir.Model:
    """A picture, a state that is passed on and used, an unused input, and an index."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Add", ["f", "state"], ["next"], "add"),
        helper.make_node("Gather", ["table", "index"], ["row"], "gather", axis=0),
        helper.make_node("Mul", ["next", "row"], ["y"], "mul"),
    ]
    random = np.random.default_rng(3)
    constants = {
        "w": random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32),
        "table": random.normal(0, 1, (4, 8)).astype(np.float32),
    }
    return build(
        nodes,
        {"image": [1, 3, 16, 16], "state": [1, 8], "unused": [1, 5], "index": [1]},
        ["next", "y", "state"],
        constants,
        {"index": TensorProto.INT64},
    )


@pytest.mark.parametrize("io", [Io(), Io(dtype="quantized")])
def test_several_inputs_each_get_what_they_can_have(io: Io) -> None:
    model = several_inputs()
    specs = input_specs(model)
    chosen = plan(specs, io, {"image": IMAGENET})
    random = np.random.default_rng(5)
    samples = [
        Sample(
            picture.name,
            {
                **picture.feeds,
                "state": random.normal(0, 1, (1, 8)).astype(np.float32),
                "unused": np.zeros((1, 5), np.float32),
                "index": np.array([number % 4]),
            },
            picture.frames,
        )
        for number, picture in enumerate(image_samples((1, 3, 16, 16), IMAGENET))
    ]
    with_codes = quantized(fold_normalization(model, chosen), chosen, samples)
    applied = apply(with_codes, chosen)
    kinds = {item.name: item.dtype for item in applied.boundary.inputs}
    assert kinds["image"] == "uint8"
    assert kinds["index"] == "int64"
    assert kinds["state"] == "float32"  # it is an output too
    for sample in samples:
        feeds = applied.boundary.package_feeds(sample)
        expected = run(with_codes, applied.boundary.model_feeds(sample))
        found = applied.boundary.package_outputs(run(applied.model, feeds))
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_a_quantized_input_that_is_no_picture_takes_the_graphs_own_codes() -> None:
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], "gemm")]
    weights = np.random.default_rng(0).normal(0, 1, (6, 4)).astype(np.float32)
    model = build(nodes, {"x": [1, 6]}, ["y"], {"w": weights})
    chosen = plan(input_specs(model), Io(dtype="quantized"), {})
    random = np.random.default_rng(1)
    samples = [
        Sample(str(n), {"x": random.normal(0, 1, (1, 6)).astype(np.float32)}) for n in range(4)
    ]
    with_codes = quantized(model, chosen, samples)
    applied = apply(with_codes, chosen)
    item = applied.boundary.inputs[0]
    assert (item.dtype, item.quantized) == ("uint8", True)
    assert item.scale
    for sample in samples:
        found = run(applied.model, applied.boundary.package_feeds(sample))
        expected = run(with_codes, sample.feeds)["y"]
        np.testing.assert_array_equal(applied.boundary.package_outputs(found)["y"], expected)


def test_another_tools_codes_keep_their_meaning_behind_raw_frames() -> None:
    """The graph's own encoding of the picture differs from the frame's: it is converted."""
    model = conv_net()
    other = plan(input_specs(model), Io(dtype="float"), {"image": WHOLE})
    samples = image_samples((1, 3, 16, 16), WHOLE)
    with_codes = quantized(model, other, samples)
    applied = apply(with_codes, plan(input_specs(model), Io(), {"image": WHOLE}))
    for sample in samples:
        found = run(applied.model, applied.boundary.package_feeds(sample))
        expected = run(with_codes, sample.feeds)["scores"]
        np.testing.assert_array_equal(applied.boundary.package_outputs(found)["scores"], expected)


def test_a_picture_that_is_an_output_too_is_refused() -> None:
    nodes = [helper.make_node("Relu", ["image"], ["y"], "relu")]
    model = build(nodes, {"image": [1, 3, 8, 8]}, ["y", "image"], {})
    with pytest.raises(ModelError, match="an output of the model too"):
        apply(model, plan(input_specs(model), Io(), {"image": WHOLE}))


def test_applying_leaves_the_model_and_gives_the_same_bytes_twice() -> None:
    with_codes, applied, _ = give_boundary(conv_net(), IMAGENET)
    before = ir.to_proto(with_codes).SerializeToString()
    again = apply(with_codes, plan(input_specs(conv_net()), Io(), {"image": IMAGENET}))
    assert model_files.serialized(again.model) == model_files.serialized(applied.model)
    assert ir.to_proto(with_codes).SerializeToString() == before


@pytest.mark.npu
def test_efficientnet_lite0_is_estimated_4_4_times_faster_than_fp16(
    efficientnet_lite0: Path, tmp_path: Path
) -> None:
    """npu-cost.md: 1,448,460 cycles at fp16, 325,965 with 8-bit channels-last frames."""
    model = prepare(model_files.load(efficientnet_lite0), {}).model
    _, applied, _ = give_boundary(model, WHOLE)
    assert cycles(applied.model, tmp_path) <= 326_000
    assert estimate(efficientnet_lite0, QCS9075, CompileOptions(fp16=True)).cycles >= 1_434_000
