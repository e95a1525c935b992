"""Residual blocks taken out whole."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph.cost import total_macs
from snapq.graph.edit import Editor
from snapq.graph.shapes import input_specs
from snapq.pruning import blocks
from tests.graph.models import feeds_for, run
from tests.quantization.odd_models import Builder, feeds

CHANNELS = 8


def residual_network(*sizes: float) -> ir.Model:
    """Blocks `x + f(x)` whose `f` is as large as given, between two convolutions."""
    build = Builder()
    x = build.add("Conv", build.feed("x", 1, 3, 6, 6), build.normal(CHANNELS, 3, 1, 1))
    for size in sizes:
        inner = build.normal(2 * CHANNELS, CHANNELS, 3, 3)
        branch = build.add("Relu", build.add("Conv", x, inner, pads=[1] * 4))
        branch = build.add("Conv", branch, build.normal(CHANNELS, 2 * CHANNELS, 1, 1, scale=size))
        x = build.add("Add", branch, x)
    return build.model(build.add("Conv", x, build.normal(5, CHANNELS, 1, 1)))


def silenced(model: ir.Model, gone: list[blocks.Block]) -> ir.Model:
    """The model with these branches multiplied by zero."""
    result = model.clone()
    edit = Editor(result.graph)
    nodes = {node.name: node for node in result.graph}
    for block in gone:
        node, branch = nodes[block.name], 1 - block.shortcut
        edit.begin(node)
        node.replace_input_with(branch, edit.op("Mul", node.inputs[branch], np.float32(0)))
    return result


def test_a_model_without_blocks_is_the_one_with_their_branches_silenced() -> None:
    model = residual_network(0.3, 0.3, 0.3)
    found = blocks.blocks(model)
    assert len(found) == 3
    gone = [found[0], found[1]]
    sample = feeds_for(input_specs(model))
    less = blocks.without(model, gone)
    assert len(less.graph) == len(model.graph) - 8
    for wanted, given in zip(run(silenced(model, gone), sample), run(less, sample), strict=True):
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-6)


def test_the_blocks_that_are_missed_the_least_go_first() -> None:
    model = residual_network(0.5, 0.001, 0.5, 0.01)
    names = [block.name for block in blocks.blocks(model)]
    result, dropped = blocks.shallower(model, 2, feeds(model, 3))
    assert [item.name for item in dropped] == [names[1], names[3]]
    assert dropped[0].error < dropped[1].error < 0.05
    assert total_macs(model) - total_macs(result) == sum(x.macs for x in dropped)


def test_a_shortcut_that_changes_the_shape_or_a_plain_sum_is_no_block() -> None:
    build = Builder()
    x = build.feed("x", 1, CHANNELS, 6, 6)
    left = build.add("Conv", x, build.normal(CHANNELS, CHANNELS, 1, 1))
    right = build.add("Conv", x, build.normal(CHANNELS, CHANNELS, 1, 1))
    total = build.add("Add", left, right)
    again = build.add("Add", total, build.add("Relu", total))
    assert not blocks.blocks(build.model(build.add("Relu", again)))


def test_more_blocks_than_there_are_is_an_error() -> None:
    model = residual_network(0.3)
    with pytest.raises(ModelError, match="has 1 residual blocks"):
        blocks.shallower(model, 2, feeds(model, 1))


def test_blocks_are_taken_out_by_name_and_a_wrong_name_is_told() -> None:
    model = residual_network(0.3, 0.3, 0.3)
    first, *_ = blocks.blocks(model)
    less = blocks.without(model, blocks.named(model, [first.name]))
    assert first not in blocks.blocks(less)
    with pytest.raises(ModelError, match=f"Did you mean '{first.name}'"):
        blocks.named(model, [f"{first.name}x"])
