"""A prediction of a model whose estimate lacks costs rests on a form that has them."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.npu.model import Model, Source
from snapq.prediction.complete import SENTENCE, completed
from tests.graph.models import build
from tests.prediction.fits import estimate, predictor
from tests.prediction.test_predict import QCS9075, W8A8

MOVED = (0, 2, 3, 1)
CODES = np.random.default_rng(0).integers(0, 60000, (1, 5, 6, 7), np.uint16)


def searched(axis: int, keepdims: int = 0, order: tuple[int, ...] = (0, 1, 2, 3)) -> str:
    """An ArgMax of codes that a Transpose moved."""
    sizes = [CODES.shape[place] for place in order]
    kept = [1] if keepdims else []
    sizes[axis : axis + 1 or None] = kept
    return f"""(uint16[1, 5, 6, 7] codes) => (int64[{", ".join(map(str, sizes))}] found)
        <float scale = {{0.001}}, uint16 zero = {{30000}}> {{
            real = DequantizeLinear(codes, scale, zero)
            moved = Transpose<perm = {list(order)}>(real)
            again = QuantizeLinear(moved, scale, zero)
            data = DequantizeLinear(again, scale, zero)
            found = ArgMax<axis = {axis}, keepdims = {keepdims}>(data)
        }}
    """


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axis", [-1, 1, 2])
def test_the_form_with_costs_finds_the_same_places(axis: int, keepdims: int) -> None:
    model = build(searched(axis, keepdims), opset=21, ir_version=10)
    other = completed(model)
    assert other is not None
    expected, found = (CpuModel(one).run({"codes": CODES}) for one in (model, other))
    np.testing.assert_array_equal(found["found"], expected["found"])


@pytest.mark.parametrize(
    ("op", "scale", "zero"),
    [("HardSigmoid<alpha = 0.25, beta = 0.5>", 1 / 65535, 0), ("HardSwish", 0.0001, 10000)],
)
def test_gates_of_codes_give_the_same_values_in_the_other_form(
    op: str, scale: float, zero: int
) -> None:
    text = f"""(uint16[1, 5, 6, 7] codes) => (uint16[1, 5, 6, 7] y)
        <float s = {{0.0001}}, uint16 z = {{32768}},
         float t = {{{scale:.9f}}}, uint16 u = {{{zero}}}> {{
            real = DequantizeLinear(codes, s, z)
            gated = {op}(real)
            y = QuantizeLinear(gated, t, u)
        }}"""
    model = build(text, opset=21, ir_version=10)
    other = completed(model)
    assert other is not None
    assert not {"HardSigmoid", "HardSwish"} & {node.op_type for node in other.graph}
    expected, found = (CpuModel(one).run({"codes": CODES})["y"] for one in (model, other))
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 4


def test_nothing_is_changed_where_no_codes_are_searched() -> None:
    text = "(float[1, 6, 7] x) => (int64[1, 6] y) { y = ArgMax<axis = -1, keepdims = 0>(x) }"
    assert completed(build(text)) is None


@pytest.mark.npu
def test_a_search_of_moved_codes_has_a_cost_in_that_form_alone() -> None:
    model = build(searched(-1, order=MOVED), opset=21, ir_version=10)
    assert Model(model, QCS9075).estimate().missing_ops
    other = completed(model)
    assert other is not None
    assert not Model(other, QCS9075).estimate().missing_ops


@pytest.mark.npu
def test_the_prediction_says_on_which_form_it_rests() -> None:
    source = Source(build(searched(-1, order=MOVED), opset=21, ir_version=10))
    found = predictor().predict(source, estimate(missing_ops=1), QCS9075, known=W8A8)
    assert found.us is not None
    assert SENTENCE in found.remarks
