"""Bits of floats, taken apart and rounded by operators that know numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snapq.classical.program import Program, Step
from snapq.classical.writing import program_to_onnx
from tests.classical.reference import onnxruntime_answers

POWERS = 2.0 ** np.arange(-149, 127)


def _assert_equal(step: Step, rows: Any) -> None:
    program = Program(step.inputs, step.outputs, (step,))
    feeds = {step.inputs[0]: rows}
    found = onnxruntime_answers(program_to_onnx(program, feeds), feeds)
    for expected, value in zip(program.run(feeds).values(), found, strict=True):
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)


def test_any_float32_has_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2**32, (20_000, 2), dtype=np.uint64).astype(np.uint32).view(np.float32)
    edges = np.array([0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000], np.uint32)
    edges = np.concatenate([edges, edges | np.uint32(0x80000000)]).view(np.float32)
    edges = np.concatenate([edges, POWERS.astype(np.float32), -POWERS.astype(np.float32)])
    arrays = {"features": np.array([1, 0], np.int32), "nan_true": np.array([True, False])}
    step = Step("tree_limbs", ("x",), ("low", "high"), {}, arrays)
    _assert_equal(step, np.concatenate([rows, np.stack([edges, edges], 1)]))


@pytest.mark.parametrize("up", [True, False])
def test_doubles_are_rounded_to_one_side(up: bool) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5000, 2)) * 10.0 ** rng.integers(-46, 38, (5000, 2))
    edges = np.concatenate([POWERS, -POWERS])
    edges = np.concatenate([np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)])
    rows = np.concatenate([rows, np.stack([edges, -edges], 1), [[0.0, -0.0], [np.inf, np.nan]]])
    _assert_equal(Step("round_to_float32", ("x",), ("y",), {"up": up}), rows)
