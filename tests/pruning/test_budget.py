"""How much is cut: counts in steps, goals reached at the least loss, few measurements."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from snapq.graph import cost
from snapq.pruning import importance
from snapq.pruning.budget import Limits, Size, counts, greedy, removed
from snapq.pruning.groups import Group, Structure, find
from snapq.pruning.surgery import cut
from snapq.pruning.timing import Watch, fit
from tests.quantization.odd_models import Builder


@pytest.fixture(scope="module")
def chain() -> Structure:
    """Four convolutions of 128, 96 and 64 channels in between."""
    build = Builder()
    value, channels = build.feed("x", 1, 3, 8, 8), 3
    for outputs in (128, 96, 64, 5):
        value = build.add("Conv", value, build.normal(outputs, channels, 1, 1))
        channels = outputs
    return find(build.model(value))


def in_steps(model: ir.Model) -> float:
    """A made-up time: each layer takes as long as its channels, rounded up to multiples of 32."""
    time = 10.0
    for node in model.graph:
        outputs, inputs = node.inputs[1].shape.dims[:2]
        time += math.ceil(outputs / 32) * math.ceil(inputs / 32)
    return time


@pytest.mark.parametrize(
    ("channels", "width", "step", "most", "expected"),
    [
        (96, 1, 32, 0.75, (0, 32, 64)),
        (112, 1, 32, 0.75, (0, 16, 48, 80)),
        (32, 1, 32, 0.75, (0,)),
        (24, 1, 8, 0.75, (0, 8, 16)),
        (12, 64, 32, 0.5, (0, 1, 2, 3, 4, 5, 6)),
        (8, 8, 32, 0.75, (0, 4)),
        (8, 45, 32, 0.5, (0, 1, 2, 3, 4)),
    ],
)
def test_what_is_left_is_a_multiple_of_the_step(
    channels: int, width: int, step: int, most: float, expected: tuple[int, ...]
) -> None:
    group = Group("g", ("n",), np.arange(channels), width)
    assert counts(group, Limits(step, most)) == expected


def test_the_size_of_a_plan_is_that_of_its_cut_model(chain: Structure) -> None:
    gone = np.concatenate([group.labels[: group.channels // 3] for group in chain.groups])
    model = cut(chain, gone)
    assert Size(chain).macs(gone) == sum(node.macs for node in cost.node_costs(model))
    held = [value.const_value.nbytes for value in model.graph.initializers.values()]
    assert Size(chain).bytes(gone) == sum(held)


def test_a_goal_is_reached_without_cutting_more_than_one_step_too_much(chain: Structure) -> None:
    rankings = importance.magnitude(chain)
    size = Size(chain)
    prices = [
        size.macs(removed(rankings, plan))
        for plan in greedy(
            rankings,
            Limits(),
            lambda plan: size.macs(removed(rankings, plan)),
            0.6 * size.macs([]),
        )
    ]
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] <= 0.6 * size.macs([]) < prices[-2]


@pytest.mark.parametrize("compiles", [8, 24])
@pytest.mark.parametrize("goal", [20, 24, 28])
def test_a_time_is_reached_with_a_bounded_number_of_measurements(
    chain: Structure, goal: float, compiles: int
) -> None:
    measured = []

    def estimate(model: ir.Model) -> float:
        measured.append(in_steps(model))
        return measured[-1]

    watch = Watch(chain, importance.magnitude(chain), estimate, compiles, lambda _: None)
    plan, found = fit(watch, Limits(), goal)
    assert measured[0] > 30
    assert found <= goal
    assert in_steps(cut(chain, removed(watch.rankings, plan))) == found
    assert len(measured) <= compiles


def test_a_model_that_is_fast_enough_is_left_whole(chain: Structure) -> None:
    watch = Watch(chain, importance.magnitude(chain), in_steps, 24, lambda _: None)
    assert fit(watch, Limits(), 1000) == ({}, watch.probes[0].us)
    assert len(watch.probes) == 1


def test_channels_that_gain_no_time_are_given_back(chain: Structure) -> None:
    first = chain.groups[0].name

    def estimate(model: ir.Model) -> float:
        """Only the first group counts, which the sum of single cuts cannot know."""
        return float(sum(n.inputs[1].shape.dims[0] for n in model.graph if n.name == "node_conv_0"))

    watch = Watch(chain, importance.magnitude(chain), estimate, 24, lambda _: None)
    plan, found = fit(watch, Limits(), 96)
    assert found == 96
    assert {name for name, count in plan.items() if count} == {first}
