"""Folding the normalization into the graph: same outputs, from raw pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from snapq.config import Io, Preprocess
from snapq.graph.boundary import fold_normalization, plan
from snapq.graph.shapes import input_specs
from tests.graph.boundary.small_models import (
    IMAGENET,
    WHOLE,
    build,
    conv_net,
    image_samples,
    only_input,
    run,
)


def check_same(model: ir.Model, preprocess: Preprocess, *, tolerance: float = 1e-5) -> ir.Model:
    """Folds, compares the outputs on random pictures, and returns the folded model."""
    specs = input_specs(model)
    chosen = plan(specs, Io(), {specs[0].name: preprocess})
    folded = fold_normalization(model, chosen)
    for sample in image_samples(specs[0].shape, preprocess, 2, name=specs[0].name):
        expected = run(model, sample.feeds)
        found = run(folded, chosen.model_feeds(sample))
        for name, values in expected.items():
            scale = max(1.0, float(np.abs(values).max()))
            assert np.abs(found[name] - values).max() <= tolerance * scale
    return folded


def added(before: ir.Model, after: ir.Model) -> Mapping[str, int]:
    """Operators that folding added."""
    return Counter(n.op_type for n in after.graph) - Counter(n.op_type for n in before.graph)


@settings(max_examples=30, deadline=None)
@given(
    mean=st.lists(st.floats(0, 255), min_size=3, max_size=3),
    std=st.lists(st.floats(1, 300), min_size=3, max_size=3),
    pads=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    bias=st.booleans(),
    seed=st.integers(0, 100),
)
def test_outputs_stay_for_any_normalization_and_padding(
    mean: list[float], std: list[float], pads: list[int], bias: bool, seed: int
) -> None:
    model = conv_net(pads=pads, bias=bias, seed=seed)
    check_same(model, Preprocess(mean=tuple(mean), std=tuple(std)))


def test_integer_mean_and_equal_channels_leave_the_graph_alone() -> None:
    model = conv_net(pads=[1, 1, 1, 1])
    folded = check_same(model, WHOLE)
    assert ir.to_proto(folded).SerializeToString() == ir.to_proto(model).SerializeToString()


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [0, 0, 0, 0]},
        {"auto_pad": "VALID"},
        {"auto_pad": "SAME_UPPER", "strides": [16, 16]},  # one window, inside the picture
    ],
)
def test_a_conv_that_pads_nothing_takes_it_into_its_weights(attributes: dict[str, Any]) -> None:
    model = conv_net(attributes=attributes)
    assert not added(model, check_same(model, IMAGENET))


@pytest.mark.parametrize("attributes", [{"pads": [0, 0, 1, 1]}, {"auto_pad": "SAME_UPPER"}])
def test_a_conv_that_pads_gets_one_channel_more(attributes: dict[str, Any]) -> None:
    model = conv_net(attributes=attributes)
    folded = check_same(model, IMAGENET)
    assert added(model, folded) == {"Conv": 1}


def test_different_deviations_alone_need_no_node_even_with_padding() -> None:
    model = conv_net(pads=[1, 1, 1, 1])
    assert not added(model, check_same(model, Preprocess(mean=(120,), std=(50, 60, 70))))


def test_a_grouped_conv_takes_each_groups_own_channels() -> None:
    model = conv_net(group=3)
    assert not added(model, check_same(model, IMAGENET))


def test_a_grouped_conv_that_pads_gets_mul_and_add() -> None:
    model = conv_net(group=3, pads=[1, 1, 1, 1])
    assert added(model, check_same(model, IMAGENET)) == {"Mul": 1, "Add": 1}


def test_a_gray_picture_with_a_broken_mean() -> None:
    model = conv_net(channels=1, pads=[1, 1, 1, 1])
    assert added(model, check_same(model, Preprocess(mean=(127.5,), std=(127.5,), color="gray")))


def test_the_picture_is_followed_through_transpose_and_pad() -> None:
    random = np.random.default_rng(1)
    weights = random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    for mode, new in (("constant", {"Conv": 1}), ("reflect", {})):
        nodes = [
            helper.make_node("Transpose", ["picture"], ["t"], "t", perm=[0, 3, 1, 2]),
            helper.make_node("Pad", ["t", "pads"], ["p"], "p", mode=mode),
            helper.make_node("Conv", ["p", "w"], ["y"], "c", strides=[2, 2]),
        ]
        pads = np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64)
        model = build(nodes, {"picture": [1, 16, 16, 3]}, ["y"], {"w": weights, "pads": pads})
        assert added(model, check_same(model, IMAGENET)) == new


def test_weights_that_another_conv_shares_stay_for_it() -> None:
    random = np.random.default_rng(2)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["y"], "second", pads=[1, 1, 1, 1]),
    ]
    weights = random.normal(0, 0.3, (3, 3, 3, 3)).astype(np.float32)
    check_same(build(nodes, {"image": [1, 3, 8, 8]}, ["y"], {"w": weights}), IMAGENET)


def test_a_picture_that_no_conv_takes_or_several_nodes_take() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["image"], ["s"], "sigmoid"),
        helper.make_node("Add", ["image", "s"], ["y"], "add"),
    ]
    check_same(build(nodes, {"image": [1, 3, 8, 8]}, ["y"], {}), IMAGENET)


def test_a_bias_that_was_missing_is_made() -> None:
    folded = check_same(conv_net(bias=False), IMAGENET)
    conv = next(node for node in folded.graph if node.name == "conv1")
    assert len(conv.inputs) == 3


def test_what_the_float_model_takes_is_near_the_normalized_picture() -> None:
    """Folded weights are as easy to quantize as the original ones."""
    specs = input_specs(conv_net())
    item = only_input(plan(specs, Io(), {"image": IMAGENET}))
    factor, offset = item.residual
    assert np.abs(factor - 1).max() < 0.03
    assert np.abs(offset).max() < 0.25
