"""What the NPU's part counts is what walking down the trees gives, whatever the trees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.program import Program
from snapq.classical.trees import encoding, verification
from snapq.classical.trees.digits import EXACT_BITS, ROUGH_BITS
from snapq.classical.trees.encoding import Form
from snapq.classical.trees.forest import gather
from snapq.classical.trees.network import OUTPUT
from snapq.classical.trees.plan import Plan, Shape
from snapq.devices.profiles import find
from snapq.npu.model import Model
from tests.classical.trees.forests import NASTY, Kind, estimator

PIXELS = tuple(value + 0.5 for value in range(0, 255, 7))

kinds = st.builds(
    Kind,
    trees=st.integers(1, 12),
    depth=st.integers(1, 7),
    features=st.integers(1, 6),
    targets=st.integers(1, 3),
    thresholds=st.sampled_from([(), NASTY, PIXELS]),
    nan_both=st.booleans(),
    members=st.booleans(),
    one_target=st.booleans(),
    ragged=st.booleans(),
)
shapes = st.builds(
    Shape, st.sampled_from([32, 64, 256]), st.integers(1, 4), st.sampled_from([1, 8])
)


def plan_for(kind: Kind, form: str, *, seed: int, shape: Shape, bits: int, batch: int = 40) -> Plan:
    """A plan for two ensembles, of which the second reads other rows."""
    forest = gather([estimator(seed, kind), estimator(seed + 1, kind, "_b")])
    made = getattr(encoding, form)(forest)
    return Plan(forest, made, shape, batch, bits)


@pytest.mark.parametrize("form", ["limbs", "ranks"])
@settings(max_examples=25)
@given(kind=kinds, seed=st.integers(0, 10_000), shape=shapes)
def test_every_count_is_right(form: str, kind: Kind, seed: int, shape: Shape) -> None:
    plan = plan_for(kind, form, seed=seed, shape=shape, bits=EXACT_BITS)
    if plan.forest.leaves:
        check(plan)


WHOLE = (*PIXELS, 0.0, -0.0, 7.0, -20.5, float("inf"), float("-inf"), float("nan"), 3000.25)


@settings(max_examples=25)
@given(kind=kinds, seed=st.integers(0, 10_000), shape=shapes)
def test_integers_are_told_apart_as_they_are(kind: Kind, seed: int, shape: Shape) -> None:
    kind = replace(kind, thresholds=WHOLE)
    plan = plan_for(kind, "integers", seed=seed, shape=shape, bits=EXACT_BITS)
    if plan.forest.leaves:
        check(plan)


def test_pixels_take_one_byte() -> None:
    kind = Kind(trees=30, thresholds=tuple(value + 0.5 for value in range(255)))
    plan = plan_for(kind, "integers", seed=1, shape=Shape(64, 1, 1), bits=EXACT_BITS)
    assert plan.encoding.inputs[0].width == 2 * kind.features
    check(plan)


def test_fewer_bits_are_as_exact_in_whole_numbers() -> None:
    check(plan_for(Kind(), "ranks", seed=3, shape=Shape(32, 1, 1), bits=ROUGH_BITS))


def test_500_trees_are_counted_in_parts_that_a_byte_can_count() -> None:
    kind = Kind(trees=300, depth=2)
    plan = plan_for(kind, "ranks", seed=1, shape=Shape(256, 1, 8), bits=EXACT_BITS)
    assert len(plan.parts) > 1
    check(plan)


def test_a_feature_with_more_than_255_thresholds_takes_two_bytes() -> None:
    kind = Kind(trees=30, depth=5, features=1, ragged=False)
    plan = plan_for(kind, "ranks", seed=1, shape=Shape(128, 1, 8), bits=EXACT_BITS)
    assert plan.encoding.inputs[0].width == 4
    check(plan)


def check(plan: Plan) -> None:
    """Runs the model with ONNX Runtime, from hard rows to sums."""
    rows = verification.testing_rows(plan)
    expected = verification.expected_counts(plan, rows)
    names = tuple(given.name for given in plan.encoding.inputs)
    encode = Program(tuple(rows), names, plan.encode())
    sums = tuple(estimator.sums for estimator in plan.forest.estimators)
    decode = Program((OUTPUT,), sums, plan.decode())
    model = ir.serde.serialize_model(plan.model()).SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    for start in range(0, len(expected), plan.batch):
        batch = {name: held[start : start + plan.batch] for name, held in rows.items()}
        (digits,) = session.run(None, encode.run(batch))
        counts = digits.reshape(-1, plan.counted.columns)[: plan.batch]
        np.testing.assert_array_equal(counts, expected[start : start + plan.batch])
        made = decode.run({OUTPUT: digits})
        for one, form in zip(plan.forest.estimators, plan.forest.ensembles, strict=True):
            wanted = form.sums(batch[one.rows])
            worst = len(form.roots) * np.ptp(form.values) * 2.0 ** -(plan.bits + 1)
            assert np.abs(made[one.sums] - wanted).max() <= worst * 1.001


@pytest.mark.npu
@pytest.mark.parametrize("device", ["qcs6490", "qcs9075", "sa8797p"])
@pytest.mark.parametrize("form", list(Form))
def test_every_count_is_right_on_the_simulator(device: str, form: Form) -> None:
    thresholds = PIXELS if form is Form.INTEGERS else (*NASTY, *np.linspace(-2, 2, 99).tolist())
    kind = Kind(trees=30, features=4, thresholds=thresholds, nan_both=True, members=True)
    plan = plan_for(kind, form, seed=7, shape=Shape(64, 2, 8), bits=EXACT_BITS, batch=100)
    rows = verification.testing_rows(plan)
    expected = verification.expected_counts(plan, rows)
    assert verification.wrong_rows(plan, Model(plan.model(), find(device)), rows, expected) == 0
