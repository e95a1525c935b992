"""The arithmetic that makes boxes is found in heads of every kind, and nowhere else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx_ir as ir
import pytest

from snapq.quantization.precision_rules.box_decoding import box_decoding
from tests.quantization.odd_models import Builder, scalar

SIDE = 8
PLACES = SIDE * SIDE


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def grid(*shape: int) -> np.ndarray:
    """Another number at each place."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 4


def features(b: Builder) -> str:
    image = b.feed("x", 1, 3, SIDE, SIDE)
    return b.add("Relu", b.add("Conv", image, b.normal(16, 3, 3, 3), pads=[1] * 4))


def rows(b: Builder, source: str, channels: int) -> str:
    """What a layer gives, as [1, channels, places]."""
    made = b.add("Conv", source, b.normal(channels, 16, 1, 1), b.normal(channels))
    return b.add("Reshape", made, ints(1, channels, PLACES))


def part(b: Builder, source: str, start: int, end: int, axis: int) -> str:
    return b.add("Slice", source, ints(start), ints(end), ints(axis))


def scores(b: Builder, source: str) -> str:
    return b.add("Sigmoid", rows(b, source, 5))


def yolo_v8() -> ir.Model:
    """Distances are means of distributions; boxes and scores are joined."""
    b = Builder()
    source = features(b)
    distribution = b.add("Reshape", rows(b, source, 64), ints(1, 4, 16, PLACES))
    distribution = b.add("Softmax", b.add("Transpose", distribution, perm=[0, 2, 1, 3]), axis=1)
    ramp = np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)
    distances = b.add("Reshape", b.add("Conv", distribution, ramp), ints(1, 4, PLACES))
    near, far = part(b, distances, 0, 2, 1), part(b, distances, 2, 4, 1)
    low = b.add("Sub", grid(1, 2, PLACES), near)
    high = b.add("Add", grid(1, 2, PLACES), far)
    centre = b.add("Mul", b.add("Add", low, high), scalar(0.5))
    boxes = b.add("Concat", centre, b.add("Sub", high, low), axis=1)
    boxes = b.add("Mul", boxes, np.full((1, PLACES), 8, np.float32))
    return b.model(b.add("Concat", boxes, scores(b, source), axis=1))


def yolo_v5() -> ir.Model:
    """One layer gives boxes and scores through one Sigmoid; sizes are squares by anchor."""
    b = Builder()
    made = b.add("Conv", features(b), b.normal(27, 16, 1, 1), b.normal(27))
    made = b.add("Reshape", made, ints(1, 3, 9, SIDE, SIDE))
    made = b.add("Sigmoid", b.add("Transpose", made, perm=[0, 1, 3, 4, 2]))
    places, sizes, rest = (part(b, made, start, end, 4) for start, end in ((0, 2), (2, 4), (4, 9)))
    places = b.add("Add", b.add("Mul", places, scalar(2)), grid(1, 1, SIDE, SIDE, 2))
    places = b.add("Mul", places, scalar(8))
    sizes = b.add("Pow", b.add("Mul", sizes, scalar(2)), scalar(2))
    sizes = b.add("Mul", sizes, grid(1, 3, 1, 1, 2))
    joined = b.add("Concat", places, sizes, rest, axis=4)
    return b.model(b.add("Reshape", joined, ints(1, 3 * PLACES, 9)))


def ssd() -> ir.Model:
    """Offsets by anchor, sizes by Exp, corners out of both; scores are another output."""
    b = Builder()
    source = features(b)
    offsets = b.add("Transpose", rows(b, source, 4), perm=[0, 2, 1])
    places, sizes = part(b, offsets, 0, 2, 2), part(b, offsets, 2, 4, 2)
    places = b.add("Mul", b.add("Mul", places, scalar(0.1)), grid(1, PLACES, 2))
    places = b.add("Add", places, grid(1, PLACES, 2))
    sizes = b.add("Exp", b.add("Mul", sizes, scalar(0.2)))
    half = b.add("Mul", b.add("Mul", sizes, grid(1, PLACES, 2)), scalar(0.5))
    corners = [b.add(operator, places, half) for operator in ("Sub", "Add")]
    return b.model(b.add("Concat", *corners, axis=2), scores(b, source))


def fcos() -> ir.Model:
    """Distances from points, each not negative."""
    b = Builder()
    source = features(b)
    distances = b.add("Mul", b.add("Relu", rows(b, source, 4)), scalar(8))
    near, far = part(b, distances, 0, 2, 1), part(b, distances, 2, 4, 1)
    corners = [b.add("Sub", grid(2, PLACES), near), b.add("Add", far, grid(2, PLACES))]
    return b.model(b.add("Concat", *corners, axis=1), scores(b, source))


def center_net() -> ir.Model:
    """Maps of offsets and sizes, decoded as maps."""
    b = Builder()
    source = features(b)
    offsets = b.add("Conv", source, b.normal(2, 16, 1, 1), b.normal(2))
    sizes = b.add("Conv", source, b.normal(2, 16, 1, 1), b.normal(2))
    places = b.add("Add", offsets, grid(1, 1, SIDE, SIDE))
    half = b.add("Mul", sizes, scalar(0.5))
    corners = [b.add(operator, places, half) for operator in ("Sub", "Add")]
    boxes = b.add("Mul", b.add("Concat", *corners, axis=1), scalar(4))
    return b.model(boxes, b.add("Sigmoid", b.add("Conv", source, b.normal(5, 16, 1, 1))))


HEADS = {head.__name__: head for head in (yolo_v8, yolo_v5, ssd, fcos, center_net)}


@pytest.mark.parametrize("name", HEADS)
def test_all_between_the_last_layers_and_the_boxes_is_found(name: str) -> None:
    model = HEADS[name]()
    graph = model.graph
    largest, *_, smallest = box_decoding(graph)
    kinds = {node.op_type for node in graph if str(node.name) in largest}
    assert {"Conv", "Add"} <= kinds
    assert all(("Add" in node.op_type) <= (node.name in smallest) for node in graph)
    first = next(node for node in graph if node.op_type == "Conv")
    assert first.name not in largest


@pytest.mark.parametrize("name", HEADS)
def test_choices_begin_further_and_further_behind(name: str) -> None:
    choices = box_decoding(HEADS[name]().graph)
    assert len(choices) > 1
    assert all(more > fewer for more, fewer in pairwise(choices))


@pytest.mark.parametrize("name", ["ssd", "fcos", "center_net"])
def test_scores_of_layers_of_their_own_are_left(name: str) -> None:
    model = HEADS[name]()
    made = model.graph.outputs[1].producer()
    assert made is not None
    assert not any(made.name in choice for choice in box_decoding(model.graph))


def test_the_mean_of_a_distribution_is_no_last_layer() -> None:
    graph = yolo_v8().graph
    largest, middle, *_ = box_decoding(graph)
    inside = {node.op_type for node in graph if str(node.name) in middle}
    assert "Conv" in inside
    assert "Softmax" not in inside
    assert {node.name for node in graph if node.op_type == "Softmax"} <= largest


def test_what_joins_boxes_and_scores_is_left_to_the_rule_for_that() -> None:
    for head in (yolo_v8, yolo_v5):
        graph = head().graph
        last = [node for node in graph if node.op_type == "Concat"][-1]
        assert all(last.name not in choice for choice in box_decoding(graph))


def biased_classes() -> ir.Model:
    """A bias by channel behind a layer of rows."""
    b = Builder()
    made = b.add("MatMul", b.feed("x", 1, 8, 16), b.normal(16, 40))
    return b.model(b.add("Mul", b.add("Add", made, b.normal(40)), scalar(2)))


def biased_map() -> ir.Model:
    b = Builder()
    made = b.add("Conv", b.feed("x", 1, 3, 8, 8), b.normal(32, 3, 1, 1))
    return b.model(b.add("Add", b.add("Sigmoid", made), b.normal(1, 32, 1, 1)))


def positions() -> ir.Model:
    """Places that are added for layers to see."""
    b = Builder()
    tokens = b.add("Add", b.feed("x", 1, 32, 16), grid(1, 32, 16))
    normed = b.add("LayerNormalization", tokens, np.ones(16, np.float32), axis=-1)
    return b.model(b.add("Add", tokens, b.add("MatMul", normed, b.normal(16, 16))))


def normalized_picture() -> ir.Model:
    b = Builder()
    image = b.add("Sub", b.feed("x", 1, 3, 8, 8), grid(1, 3, 1, 1))
    return b.model(b.add("Conv", image, b.normal(4, 3, 1, 1)))


@pytest.mark.parametrize("model", [biased_classes, biased_map, positions, normalized_picture])
def test_models_without_boxes_have_none(model) -> None:
    assert box_decoding(model().graph) == ()
