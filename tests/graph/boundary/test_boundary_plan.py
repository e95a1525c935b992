"""What the boundary is by default, and what an explicit `io` makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.config import Io, Preprocess
from snapq.errors import ConfigError, DataError
from snapq.evaluation.samples import Sample
from snapq.graph.boundary import Boundary, plan
from snapq.graph.boundary.values import dequantize, quantize
from snapq.graph.shapes import TensorSpec
from tests.graph.boundary.small_models import (
    IMAGENET,
    WHOLE,
    image_samples,
    only_input,
    run,
)
from tests.graph.boundary.small_models import build as build_model

FLOAT = np.dtype(np.float32)
IMAGE = TensorSpec("image", FLOAT, (1, 3, 8, 6))


def test_a_picture_is_raw_pixels_channels_last_by_default() -> None:
    item = only_input(plan([IMAGE], Io(), {"image": WHOLE}))
    assert (item.dtype, item.shape, item.layout, item.raw) == ("uint8", (1, 8, 6, 3), "nhwc", True)
    assert (item.scale, item.zero_point, item.folded) == (1 / 128, 127, False)


def test_what_is_no_picture_stays_float_and_as_it_is() -> None:
    item = only_input(plan([IMAGE], Io(), {}))
    assert (item.dtype, item.shape, item.quantized) == ("float32", (1, 3, 8, 6), False)


def test_integer_inputs_stay_whatever_io_says() -> None:
    tokens = TensorSpec("tokens", np.dtype(np.int64), (1, 8))
    item = only_input(plan([tokens], Io(dtype="quantized", layout="nhwc"), {}))
    assert (item.dtype, item.shape, item.quantized) == ("int64", (1, 8), False)


def test_explicit_io_holds_for_every_input_that_can_have_it() -> None:
    other = TensorSpec("state", FLOAT, (2, 1, 128))
    both = plan([IMAGE, other], Io(dtype="quantized", layout="as-is"), {"image": WHOLE})
    assert [item.quantized for item in both.inputs] == [True, True]
    assert [item.layout for item in both.inputs] == ["as-is", "as-is"]
    floats = plan([IMAGE, other], Io(dtype="float"), {"image": WHOLE})
    assert [item.dtype for item in floats.inputs] == ["float32", "float32"]
    assert not floats.gives_codes


def test_a_picture_that_is_channels_last_already_is_not_turned() -> None:
    spec = TensorSpec("image", FLOAT, (1, 8, 6, 3))
    item = only_input(plan([spec], Io(), {"image": IMAGENET}))
    assert (item.permutation, item.shape, item.channel_axis) == (None, (1, 8, 6, 3), 3)


def test_a_model_that_came_quantized_is_not_folded_and_its_feeder_normalizes() -> None:
    item = only_input(plan([IMAGE], Io(), {"image": IMAGENET}, foldable=False))
    assert (item.raw, item.folded, item.quantized, item.scale) == (False, False, True, None)


def test_an_input_that_no_picture_can_feed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot feed the input 'x' of shape \[1, 80\]"):
        plan([TensorSpec("x", FLOAT, (1, 80))], Io(), {"x": WHOLE})


def test_a_grey_picture_is_sent_to_a_model_of_colours_as_rgb() -> None:
    grey = Preprocess(color="gray")
    with pytest.raises(ConfigError) as caught:
        plan([TensorSpec("x", FLOAT, (1, 3, 8, 8))], Io(), {"x": grey})
    assert "`color: rgb`" in str(caught.value.hint)


@pytest.mark.parametrize("layout", ["nhwc", "as-is"])
@pytest.mark.parametrize("preprocess", [WHOLE, IMAGENET])
def test_feeds_of_the_package_and_of_the_float_model_are_the_same_picture(
    layout: str, preprocess: Preprocess
) -> None:
    chosen = plan([IMAGE], Io(layout=layout), {"image": preprocess})
    item = only_input(chosen)
    (sample,) = image_samples(IMAGE.shape, preprocess, 1)
    codes = chosen.package_feeds(sample)["image"]
    assert codes.dtype == np.uint8
    assert codes.shape == item.shape
    values = (codes.astype(np.float32) - item.zero_point) * np.float32(item.scale)
    turned = values.transpose(0, 3, 1, 2) if layout == "nhwc" else values
    np.testing.assert_array_equal(turned, chosen.model_feeds(sample)["image"])
    if not item.folded:
        np.testing.assert_allclose(turned, sample.feeds["image"], atol=1e-6)


def test_arrays_instead_of_pictures_give_the_same_pixels() -> None:
    """Calibration may be images and evaluation `.npy` files of the same pictures."""
    for preprocess in (WHOLE, IMAGENET):
        chosen = plan([IMAGE], Io(), {"image": preprocess})
        (sample,) = image_samples(IMAGE.shape, preprocess, 1)
        bare = Sample("bare", sample.feeds)
        np.testing.assert_array_equal(
            chosen.package_feeds(bare)["image"], chosen.package_feeds(sample)["image"]
        )


def test_a_frame_of_another_size_is_refused() -> None:
    chosen = plan([IMAGE], Io(), {"image": WHOLE})
    frame = np.zeros((1, 9, 6, 3), np.uint8)
    with pytest.raises(DataError, match=r"frame has the shape \[1, 9, 6, 3\]"):
        chosen.package_feeds(Sample("x", {}, {"image": frame}))


@pytest.mark.parametrize("preprocess", [WHOLE, IMAGENET])
def test_a_boundary_survives_json(preprocess: Preprocess) -> None:
    chosen = plan([IMAGE], Io(), {"image": preprocess})
    assert Boundary.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


@given(
    values=st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=20),
    scale=st.floats(2**-10, 2, width=32),
    dtype=st.sampled_from(["uint8", "int8", "uint16", "int16"]),
)
def test_codes_and_values_are_onnx_own(values: list[float], scale: float, dtype: str) -> None:
    """Reference: ONNX Runtime's QuantizeLinear and DequantizeLinear."""
    from onnx import helper

    zero_point = 3
    kinds = {"x": 1, "y": 1, "q": helper.np_dtype_to_tensor_dtype(np.dtype(dtype))}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "d"),
    ]
    constants = {"s": np.float32(scale), "z": np.asarray(zero_point, dtype)}
    model = build_model(nodes, {"x": [len(values)]}, ["q", "y"], constants, kinds)
    found = run(model, {"x": np.asarray(values, np.float32)})
    codes = quantize(np.asarray(values), dtype, scale, zero_point)
    np.testing.assert_array_equal(codes, found["q"])
    np.testing.assert_array_equal(dequantize(codes, scale, zero_point), found["y"])


def test_ids_of_64_bits_are_fed_with_32_unless_the_models_own_types_are_asked_for() -> None:
    tokens = TensorSpec("tokens", np.dtype(np.int64), (1, 8))
    narrow = only_input(plan([tokens], Io(), {}, ids={"tokens"}))
    assert (narrow.dtype, narrow.quantized) == ("int32", False)
    sample = Sample("0", {"tokens": np.arange(8, dtype=np.int64)[None]})
    assert narrow.package_feed(sample).dtype == np.int32
    assert narrow.model_feed(sample).dtype == np.int64
    assert only_input(plan([tokens], Io(dtype="float"), {}, ids={"tokens"})).dtype == "int64"
