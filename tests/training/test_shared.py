"""Training leaves alone, and does not run, what is in front of the first change."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch

from snapq.pruning import blocks
from snapq.training.module import GraphModule
from snapq.training.options import TrainingOptions
from snapq.training.shared import common_values, frontier
from snapq.training.train import train
from tests.training.models import Pictures, constants, residual_network


def without_block(model: ir.Model) -> ir.Model:
    return blocks.without(model, blocks.blocks(model))


def changed(model: ir.Model, name: str) -> ir.Model:
    result = model.clone()
    value = result.graph.initializers[name]
    value.const_value = ir.tensor(value.const_value.numpy() * np.float32(1.2), name=name)
    return result


def test_what_is_in_front_of_a_change_is_common() -> None:
    model = residual_network()
    common = common_values(changed(model, "w3"), model)
    assert {"r2", "w2", "r1"} <= common
    assert common.isdisjoint({"c3", "a1", "y", "w3"})
    assert frontier(changed(model, "w3"), common) == ("r2", "r1")
    assert frontier(model, common_values(model, model)) == ()
    assert frontier(changed(model, "w1"), common_values(changed(model, "w1"), model)) == ()


def test_a_module_that_starts_in_its_middle_gives_the_same() -> None:
    model = residual_network()
    feeds = {"x": torch.from_numpy(next(iter(Pictures(1))).feeds["x"])}
    whole, part = GraphModule(model), GraphModule(model)
    with torch.no_grad():
        expected = whole(feeds, ["r2", "r1"])
        part.start_from(("r2", "r1"))
        found = part(feeds | {name: expected[name] for name in ("r2", "r1")})
    assert torch.equal(found["y"], expected["y"])
    learning = {n for n, w in zip(part.weight_names, part.weights, strict=True) if w.requires_grad}
    assert learning == {"w3", "b3", "w4", "b4"}


def test_training_changes_only_what_lies_behind() -> None:
    model = residual_network()
    less = without_block(model)
    options = TrainingOptions(epochs=None, steps=4, rate=1e-2, batch=8)
    before = constants(less)
    after = constants(train(less, model, Pictures(24), options).model)
    assert np.array_equal(before["w1"], after["w1"])
    assert not np.array_equal(before["w4"], after["w4"])
