"""SQNR, cosine and agreement agree with their definitions and stay finite on every input."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snapq.errors import DataError, ModelError
from snapq.evaluation.fidelity import Fidelity, cosine, sqnr_db

SHAPE = (2, 5)
REALS = hnp.arrays(np.float32, SHAPE, elements=st.floats(-100, 100, width=32))
ANYTHING = hnp.arrays(np.float32, SHAPE, elements=st.floats(width=32))


@given(REALS, REALS)
def test_sqnr_and_cosine_follow_their_definitions(
    reference: np.ndarray, output: np.ndarray
) -> None:
    r = [Fraction(float(value)) for value in reference.flat]
    o = [Fraction(float(value)) for value in output.flat]
    signal = sum(a * a for a in r)
    noise = sum((a - b) ** 2 for a, b in zip(r, o, strict=True))
    power = sum(b * b for b in o)
    if noise and signal:
        wanted = 10 * (math.log10(signal) - math.log10(noise))
        limited = min(max(wanted, -200), 200)
        assert sqnr_db(reference, output) == pytest.approx(limited, abs=1e-6)
    if signal and power:
        product = sum(a * b for a, b in zip(r, o, strict=True))
        wanted = float(product) / (math.sqrt(signal) * math.sqrt(power))
        assert cosine(reference, output) == pytest.approx(wanted, abs=1e-6)


@given(ANYTHING, ANYTHING)
def test_any_values_give_finite_figures(reference: np.ndarray, output: np.ndarray) -> None:
    assert -200 <= sqnr_db(reference, output) <= 200
    assert -1 <= cosine(reference, output) <= 1
    assert sqnr_db(reference, reference) == 200
    assert cosine(reference, reference) == pytest.approx(1)


def test_uniform_rounding_gives_the_textbook_figure() -> None:
    """Noise of a uniform quantizer is step^2 / 12: 6.02 dB a bit for a uniform signal."""
    signal = np.random.default_rng(0).uniform(-1, 1, 200_000)
    step = 2 / 256
    assert sqnr_db(signal, np.round(signal / step) * step) == pytest.approx(48.16, abs=0.05)


@pytest.mark.parametrize(
    ("reference", "output", "decibels", "angle"),
    [
        ([0, 0], [0, 0], 200, 1),
        ([0, 0], [0, 1], -200, 0),
        ([1, 2], [0, 0], 0, 0),
        ([1e-30, 0], [-1e-30, 0], -6.0206, -1),
        ([1e30, 1e30], [1e30, 1e30], 200, 1),
        ([-np.inf, 1], [-np.inf, 1], 200, 1),
        ([np.nan, 1], [np.nan, 1], 200, 1),
        ([1, 1], [np.nan, 1], -200, 0),
        ([np.inf, 1], [1, 1], -200, 0),
    ],
)
def test_edge_cases_are_defined(
    reference: list[float], output: list[float], decibels: float, angle: float
) -> None:
    r, o = np.array(reference), np.array(output)
    assert sqnr_db(r, o) == pytest.approx(decibels, abs=1e-3)
    assert cosine(r, o) == pytest.approx(angle)


def test_figures_are_means_over_samples_and_the_worst_sample_is_kept() -> None:
    found = Fidelity()
    for error in (0.1, 0.01):
        found.update(
            {"y": np.ones(4), "class": np.array([1, 2])},
            {"y": np.ones(4) + error, "class": np.array([1, 3])},
        )
    scores, classes = found.results()
    assert (scores.name, scores.samples, scores.agreement) == ("y", 2, None)
    assert scores.sqnr_db == pytest.approx(30)
    assert scores.sqnr_db_min == pytest.approx(20)
    assert classes.agreement == 0.5


def test_outputs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError):
        Fidelity().results()
    with pytest.raises(ModelError, match="missing"):
        Fidelity().update({"y": np.ones(4)}, {})
    with pytest.raises(ModelError, match=r"\[4\]"):
        Fidelity().update({"y": np.ones(4)}, {"y": np.ones((1, 4))})


@pytest.mark.parametrize(
    ("found", "collapsed"),
    [
        (lambda r: r + 0.05, None),
        (lambda r: np.full_like(r, 100), "one value"),
        (lambda r: r * 0.5, "6.0 dB"),
        (lambda r: np.where(r > 100, r * 0.5, r), None),
    ],
)
def test_outputs_of_no_use_are_told(
    found: Callable[[np.ndarray], np.ndarray], collapsed: str | None
) -> None:
    fidelity = Fidelity()
    for offset in (0.0, 100.0) if collapsed == "one value" else (0.0,):
        truth = np.random.default_rng(0).normal(size=(4, 50)) + offset
        fidelity.update({"y": truth}, {"y": found(truth)})
    assert fidelity.results()[0].collapsed == collapsed


def test_constants_and_class_numbers_are_not_lost() -> None:
    fidelity = Fidelity()
    truth = {"constant": np.full(3, 37.5), "class": np.array([1, 2, 3])}
    fidelity.update(truth, {"constant": np.zeros(3), "class": np.array([3, 1, 2])})
    assert [one.collapsed for one in fidelity.results()] == [None, None]


def test_values_that_are_next_to_alike_may_become_one() -> None:
    fidelity = Fidelity()
    truth = {"few": np.array([1.0, 2.0]), "near": 37.5 + np.linspace(0, 0.1, 50)}
    fidelity.update(truth, {"few": np.array([1.5, 1.5]), "near": np.full(50, 37.5)})
    assert [one.collapsed for one in fidelity.results()] == [None, None]
