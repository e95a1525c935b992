"""One definition of SQNR, whoever asks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snapq.evaluation.fidelity import sqnr_db
from snapq.evaluation.sqnr import Energies, SqnrMeter, real_outputs, sqnr


def test_it_is_ten_log_ten_of_the_ratio_of_energies() -> None:
    assert sqnr(100.0, 1.0) == pytest.approx(20)
    assert sqnr(1.0, 0.0) == math.inf
    assert sqnr(0.0, 1.0) == -math.inf


def test_one_sample_gives_the_same_as_a_meter_of_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1, 8, 9)).astype(np.float32)
    found = truth + rng.normal(0, 0.01, truth.shape).astype(np.float32)
    meter = SqnrMeter()
    meter.update({"y": truth}, {"y": found})
    assert meter.values()["y"] == pytest.approx(sqnr_db(truth, found), abs=1e-9)
    assert meter.values()["y"] == pytest.approx(40, abs=1)


def test_energies_are_summed_over_samples_before_their_ratio_is_taken() -> None:
    meter = SqnrMeter(["y"])
    meter.update({"y": np.float32([10]), "x": np.float32([0])}, {"y": np.float32([10])})
    meter.update({"y": np.float32([0])}, {"y": np.float32([1])})
    assert meter.values() == {"y": pytest.approx(20)}
    assert meter.worst() == pytest.approx(0.01)


def test_an_output_that_is_not_finite_is_all_noise_and_a_reference_that_is_not_is_left_out() -> (
    None
):
    truth, found = np.float32([3, np.inf, 4]), np.float32([np.nan, 0, 4])
    assert Energies.of(truth, found) == Energies(25, 9)


def test_whole_numbers_count_where_there_are_no_others() -> None:
    outputs = {"scores": np.float32([1]), "classes": np.int64([1])}
    assert list(real_outputs(outputs)) == ["scores"]
    assert list(real_outputs({"classes": np.int64([1])})) == ["classes"]
