from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.ensemble import Ensemble
from snapq.classical.linear import Linear
from snapq.classical.lowering import calibration_rows, lower
from snapq.classical.lowering.flat import polynomial
from snapq.classical.lowering.halves import SHARE, in_halves
from snapq.classical.lowering.layers import layers
from snapq.classical.model import ClassicalModel, Estimator
from snapq.classical.perceptron import Activation, Dense, Perceptron
from snapq.classical.program import Array, Program
from snapq.classical.svm import Kernel, SupportVectors
from snapq.classical.writing import program_to_onnx
from snapq.cpu import CpuModel
from snapq.errors import ModelError
from tests.classical.lowering.drawn import KERNELS, Drawn, machines


def lowered_sums(estimator: Estimator, rows: Array) -> Array:
    """What head, float model and tail make of rows, all in one batch."""
    made = lower(estimator, len(rows))
    head = Program((estimator.rows,), made.inputs, made.encode)
    tail = Program((estimator.rows, *made.outputs), (estimator.sums,), made.decode)
    given = {estimator.rows: rows}
    return tail.run({**given, **CpuModel(made.model).run(head.run(given))})[estimator.sums]


def scores(model: ClassicalModel, rows: Array) -> dict[str, Array]:
    """What the model makes of rows with its estimator in the lowered form."""
    parts = model.parts()
    values = parts.head.run({model.inputs[0].name: rows})
    for one in parts.estimators:
        values[one.sums] = lowered_sums(one, values[one.rows])
    return parts.tail.run(values)


def tolerance(estimator: Estimator) -> float:
    """By which sums may differ: of kernels near 1 the head rounds rows to 16 bits."""
    form = estimator.form
    assert not isinstance(form, Ensemble)
    return 1e-3 if layers(form).flat else 2e-5


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data())
def test_decision_values_are_those_of_onnx_runtime(kernel: str, data: st.DataObject) -> None:
    drawn = data.draw(machines(kernel))
    model = ClassicalModel.read(drawn.model)
    wanted = CpuModel(drawn.model.SerializeToString()).run({"x": drawn.rows})
    found = scores(model, drawn.rows)
    most = tolerance(model.estimators[0]) * drawn.size
    assert np.abs(found["scores"] - wanted["scores"]).max() <= most


@given(drawn=machines())
def test_labels_are_those_of_onnx_runtime_where_no_decision_is_a_tie(drawn: Drawn) -> None:
    model = ClassicalModel.read(drawn.model)
    estimator = model.estimators[0]
    sums = estimator.form.sums(drawn.rows)
    clear = (np.abs(sums) > tolerance(estimator) * drawn.size).all(axis=1)
    if "label" in model.outputs and clear.any():
        rows = drawn.rows[clear]
        wanted = CpuModel(drawn.model.SerializeToString()).run({"x": rows})["label"]
        assert scores(model, rows)["label"].tolist() == wanted.tolist()


@given(
    seed=st.integers(0, 2**32 - 1),
    features=st.integers(1, 40),
    targets=st.integers(1, 6),
    exponent=st.integers(-4, 4),
)
def test_a_linear_model_keeps_its_values(
    seed: int, features: int, targets: int, exponent: int
) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(targets, features)) * 10.0 ** random.uniform(-2, 2, features)
    form = Linear(
        "linear",
        features,
        (weights * 10.0**exponent).astype(np.float32),
        random.normal(size=targets).astype(np.float32),
    )
    rows = random.normal(size=(9, features)).astype(np.float32)
    size = (np.abs(form.weights) @ np.abs(rows.T)).max() + np.abs(form.offsets).max()
    found = lowered_sums(Estimator(form, "rows", "sums"), rows)
    assert np.abs(found - form.sums(rows)).max() <= 1e-6 * size


def machine(kernel: str, **changes: object) -> SupportVectors:
    random = np.random.default_rng(0)
    form = SupportVectors(
        *("svm", 4, "RBF", 0.5, 0.5, 3.0),
        random.normal(size=(6, 4)).astype(np.float32),
        random.normal(size=(2, 6)).astype(np.float32),
        np.float32([0.25, -0.5]),
    )
    return replace(form, kernel=kernel, **changes)


@pytest.mark.parametrize("kernel", KERNELS)
def test_nan_infinities_and_huge_rows_have_the_sums_of_the_model_itself(kernel: str) -> None:
    rows = np.zeros((6, 4), np.float32)
    rows[0, 1], rows[1, 2], rows[2, 0], rows[3], rows[4, 3] = np.nan, np.inf, -np.inf, 1e6, 3e18
    form = machine(kernel)
    with np.errstate(all="ignore"):
        wanted = form.sums(rows)
        found = lowered_sums(Estimator(form, "rows", "sums"), rows)
        np.testing.assert_allclose(found, wanted.astype(np.float32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
@given(data=st.data())
@settings(max_examples=20)
def test_rows_with_a_nan_and_those_infinitely_far_have_the_labels_of_onnx_runtime(
    kernel: str, data: st.DataObject
) -> None:
    drawn = data.draw(machines(kernel))
    rows = drawn.rows.copy()
    rows[:4, 0], rows[1, -1] = np.nan, np.inf
    if kernel == "RBF":  # other kernels are inf - inf, in an order that nobody promises
        rows[2:4, 0] = np.inf, -np.inf
    wanted = CpuModel(drawn.model.SerializeToString()).run({"x": rows})
    with np.errstate(invalid="ignore"):
        found = ClassicalModel.read(drawn.model).run(rows)
    for name in set(wanted) - {"scores"}:
        np.testing.assert_array_equal(found[name][:4], wanted[name][:4])
    np.testing.assert_allclose(found["scores"][:4], wanted["scores"][:4], 1e-3, 1e-3)


def test_rows_of_great_numbers_are_given_to_the_npu_as_numbers_near_one() -> None:
    random = np.random.default_rng(0)
    far = (4e6 + 1e3 * random.normal(size=(6, 4))).astype(np.float32)
    for kernel, gamma in (("RBF", 1e-7), ("LINEAR", 0.0), ("POLY", 1e-13), ("SIGMOID", 1e-14)):
        form = machine(kernel, vectors=far, gamma=gamma)
        made = lower(Estimator(form, "rows", "sums"), 6)
        given_to_it = Program(("rows",), made.inputs, made.encode).run({"rows": far})
        assert np.abs(given_to_it[made.inputs[0]]).max() < 5
        given_back = CpuModel(made.model).run(given_to_it)[made.outputs[0]]
        assert np.abs(given_back).max() <= 1.01


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel": "POLY", "degree": 2.5}, "degree 2.5"),
        ({"kernel": "POLY", "degree": 17.0}, "degree 17"),
        ({"kernel": "RBF", "gamma": -1.0}, "gamma -1"),
        ({"kernel": "RBF", "gamma": 1e6}, "too narrow for 16 bits: with gamma 1e"),
        ({"kernel": "LINEAR", "vectors": np.full((6, 4), 3e38, np.float32)}, "32 bits"),
    ],
)
def test_a_kernel_that_the_npu_cannot_compute_is_refused_by_name(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        lower(Estimator(machine(**changes), "rows", "sums"), 8)
    assert "svm" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("kernel", ["RBF", "SIGMOID", "LINEAR"])
def test_rows_for_calibration_reach_decisions_beyond_those_at_the_vectors(kernel: Kernel) -> None:
    side = np.repeat(np.float32([-1, 1]), 5)
    vectors = np.stack([side, np.tile(np.linspace(-2, 2, 5), 2)], axis=1).astype(np.float32)
    form = SupportVectors(
        *("svm", 2, kernel, 0.1, 0.0, 3.0),
        vectors=vectors,
        coefficients=side[None],
        offsets=np.float32([0]),
    )
    within = np.float32([[x, y] for x in np.linspace(-4, 4, 33) for y in (-1, 0, 1)])
    largest = np.abs(form.sums(within)).max()
    assert np.abs(form.sums(vectors)).max() < 0.8 * largest
    found = form.sums(calibration_rows(form))
    assert min(found.max(), -found.min()) >= 0.95 * largest


@pytest.mark.parametrize("kernel", KERNELS)
def test_weights_in_halves_say_the_same_and_8_bits_hold_each_half(kernel: Kernel) -> None:
    form = machine(kernel)
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    estimator = Estimator(form, "rows", "sums")
    made = lower(estimator, 5, halves=True)
    head = Program(("rows",), made.inputs, made.encode)
    tail = Program(("rows", *made.outputs), ("sums",), made.decode)
    sums = tail.run({"rows": rows, **CpuModel(made.model).run(head.run({"rows": rows}))})["sums"]
    np.testing.assert_allclose(sums, form.sums(rows), rtol=1e-4, atol=1e-4)
    plain = layers(form)
    for name, share in (("first", SHARE), ("second", None)):
        weights, whole = (getattr(one, name) for one in (in_halves(plain, rows), plain))
        if whole is None:
            continue
        halves = np.split(weights, 2, axis=1 if share else 0)
        step = np.abs(whole).max(axis=1, keepdims=True) / 127
        np.testing.assert_allclose(np.round(halves[0] / step) * step, halves[0], atol=1e-6)
        if share:
            np.testing.assert_allclose(halves[0] + halves[1] / share, whole, atol=1e-6)


def test_weights_that_8_bits_hold_have_no_lower_half() -> None:
    form = machine("RBF", coefficients=np.float32([[1, -1, 1, -1, 1, -1]]), offsets=np.zeros(1))
    assert len(in_halves(layers(form), np.zeros((0, 4))).second) == 1


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("halves", [False, True])
def test_a_perceptron_keeps_its_values_also_of_rows_that_the_npu_does_not_hold(
    activation: Activation, halves: bool
) -> None:
    random = np.random.default_rng(0)
    sizes = [4, 7, 5, 3]
    form = Perceptron(
        *("network", 4, activation),
        tuple(
            Dense(
                random.normal(size=(after, before)).astype(np.float32),
                random.normal(size=after).astype(np.float32),
            )
            for before, after in pairwise(sizes)
        ),
    )
    rows = random.normal(size=(6, 4)).astype(np.float32)
    rows[1, 2], rows[2, 0], rows[3] = np.nan, 3e6, -1e5
    estimator = Estimator(form, "rows", "sums")
    for seen in (None, rows[4:]):
        made = lower(estimator, 6, seen, halves=halves)
        head = Program(("rows",), made.inputs, made.encode)
        tail = Program(("rows", *made.outputs), ("sums",), made.decode)
        given = head.run({"rows": rows})
        values = {"rows": rows, **CpuModel(made.model).run(given)}
        wanted = form.sums(rows)
        written = CpuModel(program_to_onnx(tail, values).SerializeToString()).run(values)
        for found in (tail.run(values), written):
            np.testing.assert_allclose(found["sums"], wanted, rtol=1e-4, atol=1e-4)


def flat_machine() -> SupportVectors:
    random = np.random.default_rng(0)
    return machine(
        "RBF",
        gamma=1e-3,
        vectors=random.normal(size=(40, 4)).astype(np.float32),
        coefficients=1000 * np.sign(random.normal(size=(2, 40))).astype(np.float32),
    )


@pytest.mark.parametrize("halves", [False, True])
def test_kernels_near_1_are_computed_less_1_and_rows_out_of_reach_by_the_host(halves: bool) -> None:
    form, random = flat_machine(), np.random.default_rng(1)
    assert layers(form).flat
    rows = np.concatenate([scale * random.normal(size=(8, 4)) for scale in (0.5, 2.0, 30.0, 1e5)])
    rows = rows.astype(np.float32)
    rows[0, 1], rows[1, 2] = np.nan, np.inf
    estimator = Estimator(form, "rows", "sums")
    made = lower(estimator, len(rows), halves=halves)
    head = Program(("rows",), made.inputs, made.encode)
    tail = Program(("rows", *made.outputs), ("sums",), made.decode)
    given = head.run({"rows": rows})
    assert np.abs(given[made.inputs[0]]).max() < 3
    values = {"rows": rows, **CpuModel(made.model).run(given)}
    with np.errstate(all="ignore"):
        wanted = form.sums(rows)
    wanted[1] = form.offsets
    written = CpuModel(program_to_onnx(tail, values).SerializeToString()).run(values)
    for found in (tail.run(values), written):
        # The head rounds a row to 16 bits: 2^-11 of it, as the data themselves may be off.
        np.testing.assert_allclose(found["sums"], wanted, rtol=2e-3, atol=2e-2)
    assert np.isnan(found["sums"][0]).all()


def test_kernels_that_16_bits_tell_apart_stay_as_they_are() -> None:
    form = replace(flat_machine(), gamma=0.5)
    assert not layers(form).flat
    assert not layers(replace(form, coefficients=form.coefficients / 1e3)).flat


@pytest.mark.parametrize("largest", [1e-9, 0.01, 0.3, 2.5])
def test_the_polynomial_is_that_of_the_exponential(largest: float) -> None:
    t = -np.linspace(0, largest, 100)
    found, size = polynomial(largest)
    powers = (size * t[:, None]) ** np.arange(1, len(found) + 1)
    assert np.abs(powers @ found - np.expm1(t)).max() <= 1e-5 * min(largest, 1)
    assert np.abs(found / found[-1]).max() <= 64
