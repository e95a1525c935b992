"""benchmarks.zoo.ratios: which estimate of a network is held against which public latency."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.prediction.figures import REFERENCE
from benchmarks.zoo.networks import Network
from benchmarks.zoo.ratios import Ratio, ratios, summary

NET = Network("net", "public_net", None, {})
FIGURES = {
    ("public_net", None, "w8a8", REFERENCE): {"onnx": 900.0, "qnn_dlc": 600.0},
    ("public_net", None, "float", REFERENCE): {"onnx": 3000.0},
}


def row(precision: str, us: float, missing: int = 0) -> dict[str, Any]:
    """A row of results."""
    known = {"boundary_bytes": 1, "macs": 1, "nodes": 1, "normalized": 1, "ddr": {}}
    named = {"network": "net", "soc": "qcs9075", "precision": precision, "kind": "convolutional"}
    return {**named, **known, "us": us, "cycles": round(us * 1500), "missing_ops": missing}


def test_a_deployed_package_counts_before_the_plain_form_and_against_the_best_runtime() -> None:
    rows = [row("w8a8", 300), row("deployed_w8a8", 350), row("fp16", 2000)]
    slow, quantized = ratios(rows, [NET], FIGURES)
    assert (quantized.precision, quantized.deployed, quantized.estimate_us) == ("w8a8", True, 350)
    assert quantized.public_us == 600
    assert 350 < quantized.predicted_us < 600
    assert quantized.value == pytest.approx(quantized.predicted_us / 600)
    assert (slow.precision, slow.deployed, slow.public_us) == ("float", False, 3000)


def test_an_estimate_that_lacks_costs_and_a_precision_without_a_figure_are_left_out() -> None:
    rows = [row("deployed_w8a8", 300, missing=2), row("w8a16", 300)]
    assert list(ratios(rows, [NET], FIGURES)) == []


def test_the_summary_gives_shares_and_the_median() -> None:
    found = [Ratio("net", "w8a8", 1.0, value, 100.0, True) for value in (70, 90, 110, 200)]
    assert list(summary(found))[2:] == ["| w8a8 | 4 | 4 | 50 % | 75 % | 1.00 |"]
