from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from benchmarks.hunt import records
from benchmarks.hunt.draw import draw
from benchmarks.hunt.judge import judge
from benchmarks.hunt.operators import EMITTERS, TABLE
from benchmarks.hunt.recipe import Builder, Recipe, Step, build_into, finish
from benchmarks.hunt.shrink import shrink
from benchmarks.hunt.snippet import snippet

DRAWN = [draw(5, index) for index in range(300)]


def test_a_seed_draws_the_same_graphs_again_and_json_keeps_them() -> None:
    assert DRAWN[:20] == [draw(5, index) for index in range(20)]
    assert all(Recipe.from_json(one.to_json()).to_json() == one.to_json() for one in DRAWN)


def test_every_operator_is_drawn_and_every_graph_is_valid_onnx() -> None:
    missing = set(TABLE) - {step.operator for recipe in DRAWN for step in recipe.steps}
    assert len(missing) < 6, missing
    for recipe in DRAWN[:100]:
        builder = Builder()
        build_into(builder, recipe, EMITTERS)
        onnx.checker.check_model(finish(builder), full_check=True)


def test_a_graph_shrinks_to_what_makes_it_wrong() -> None:
    steps = (
        Step("Conv", (0,), _conv(), 1),
        Step("Tanh", (1,), {}, 2),
        Step("Softplus", (2,), {}, 3),
        Step("Relu", (3,), {}, 4),
    )
    recipe = Recipe(((2, 16, 20, 20),), ("image",), steps)
    found = shrink(recipe, lambda one: "Softplus" in one.chain)
    assert found.chain == "Softplus"
    assert found.inputs == ((1, 1, 1, 1),)
    assert found.data == ("normal",)


def test_a_snippet_builds_the_same_model() -> None:
    builder = Builder()
    build_into(builder, DRAWN[0], EMITTERS)
    made: dict[str, Any] = {}
    exec(snippet(DRAWN[0]), made)
    assert [node.op_type for node in made["model"].graph.node] == [
        node.op_type for node in finish(builder).graph.node
    ]


def test_what_is_far_below_the_cpu_disagrees_and_rounding_does_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((1, 8, 10, 10))
    near, same = truth + rng.normal(0, 0.01, truth.shape), truth + rng.normal(0, 0.008, truth.shape)
    wrong = np.where(np.arange(10) < 9, near, 0)
    assert not judge([{"y": truth}], [{"y": near}], [{"y": same}])[0].disagrees
    assert judge([{"y": truth}], [{"y": near}], [{"y": wrong}])[0].disagrees
    assert not judge([{"y": np.ones(9)}], [{"y": np.ones(9)}], [{"y": np.zeros(9)}])


@pytest.mark.slow
@pytest.mark.npu
def test_a_small_hunt_meets_no_internal_error_and_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "hunt.jsonl"
    first = _hunt("--count", "12", "--out", str(path))
    assert "12 of 12" in first
    _hunt("--count", "24", "--resume", str(path))
    found = records.read(path)
    assert [one["graph"] for one in found] == [f"11:{index}" for index in range(24)]
    ours = [one for one in found if one["result"] in ("internal", "altered")]
    assert not ours, ours
    assert sum(one["result"] == "right" for one in found) > 15


def _hunt(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.hunt", "--seed", "11", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def _conv() -> dict[str, object]:
    return {
        "out": 8,
        "group": 1,
        "kernel": [3, 3],
        "strides": [1, 1],
        "pads": [1, 1, 1, 1],
        "dilations": [1, 1],
        "bias": True,
        "weights": "normal",
    }


def test_what_is_drawn_reads_every_input() -> None:
    for index in (2985, 0, 1, 2):
        recipe = draw(30, index)
        assert set(range(len(recipe.inputs))) <= {i for step in recipe.steps for i in step.inputs}
