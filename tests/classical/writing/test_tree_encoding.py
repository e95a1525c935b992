"""Head and tail of trees on the NPU give the same bytes and sums as ONNX as in NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.program import Program
from snapq.classical.trees import encoding, verification
from snapq.classical.trees.digits import EXACT_BITS
from snapq.classical.trees.encoding import Form
from snapq.classical.trees.forest import gather
from snapq.classical.trees.network import OUTPUT
from snapq.classical.trees.plan import Plan, Shape
from snapq.classical.writing import program_to_onnx
from tests.classical.trees.forests import NASTY, Kind, estimator

WHOLE = (0.5, 3.5, -7.0, float("inf"), float("-inf"), 900.0)
BITS = (*NASTY, 1.1754944e-38, -1.1754944e-38, 2.0, -4.0, 0.99999994, 3.4028235e38, -3.4028235e38)


def plan_for(form: Form, seed: int, thresholds: tuple[float, ...], trees: int = 6) -> Plan:
    kind = Kind(trees=trees, thresholds=thresholds, nan_both=True, members=True)
    forest = gather([estimator(seed, kind), estimator(seed + 1, kind, "_b")])
    made = getattr(encoding, form)(forest)
    return Plan(forest, made, Shape(32, 1, 8), 29, EXACT_BITS)


def assert_same(program: Program, feeds: dict[str, np.ndarray]) -> None:
    model = program_to_onnx(program, feeds)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(list(program.outputs), feeds)
    for (name, wanted), got in zip(program.run(feeds).items(), found, strict=True):
        assert got.dtype == wanted.dtype, name
        np.testing.assert_array_equal(got, wanted, err_msg=name)


@pytest.mark.parametrize("form", list(Form))
@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), normal=st.booleans())
def test_rows_become_the_same_bytes(form: Form, seed: int, normal: bool) -> None:
    drawn = () if normal else BITS
    plan = plan_for(form, seed, WHOLE if form is Form.INTEGERS else drawn)
    rows = {name: values[:29] for name, values in verification.testing_rows(plan).items()}
    names = tuple(given.name for given in plan.encoding.inputs)
    assert_same(Program(tuple(rows), names, plan.encode()), rows)


def test_ranks_of_two_bytes_are_the_same() -> None:
    plan = plan_for(Form.RANKS, 1, (), trees=200)
    assert max(len(step.arrays["thresholds"]) for step in plan.encoding.steps) > 3 * 255
    rows = {name: values[:29] for name, values in verification.testing_rows(plan).items()}
    assert_same(Program(tuple(rows), ("tree_columns",), plan.encode()), rows)


def test_counts_become_the_same_sums() -> None:
    plan = plan_for(Form.RANKS, 1, ())
    sums = tuple(one.sums for one in plan.forest.estimators)
    counts = np.random.default_rng(0).integers(0, 256, (1, 8, 4, plan.counted.columns))
    assert_same(Program((OUTPUT,), sums, plan.decode()), {OUTPUT: counts.astype(np.uint8)})


def test_what_is_no_integer_ends_in_an_error_and_not_in_a_wrong_answer() -> None:
    plan = plan_for(Form.INTEGERS, 1, (0.5, 3.5))
    rows = {name: np.ones((29, 3), np.float32) for name in ("rows", "rows_b")}
    head = Program(tuple(rows), ("tree_columns",), plan.encode())
    model = program_to_onnx(head, rows).SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows["rows"][4, 1] = 0.25
    with pytest.raises(Exception, match="out of data bounds"):
        session.run(None, rows)
