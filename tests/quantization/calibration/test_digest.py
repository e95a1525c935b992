"""Digests: what is told of activations without taking them out of ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.errors import DataError
from snapq.graph.inference import infer_shapes
from snapq.quantization.calibration.calibrate import calibrate
from snapq.quantization.calibration.digest import digest
from tests.graph.models import build

WIDE = 40_000
MODEL = f"(float[1,{WIDE}] x) => (float[1,{WIDE}] y) {{ a = Neg(x) b = Abs(a) y = Sqrt(b) }}"
SAMPLES = [
    {"x": np.random.default_rng(seed).standard_normal((1, WIDE)).astype(np.float32) * (seed + 1)}
    for seed in range(3)
]
TENSORS = ["x", "a", "y"]


def inferred(text: str) -> ir.Model:
    model = build(text)
    infer_shapes(model)
    return model


def counts(collector) -> int:
    return int(collector.bins()[2].sum())


def test_extremes_are_those_of_all_samples_whatever_is_counted() -> None:
    model = inferred(MODEL)
    full = calibrate(model, SAMPLES, TENSORS)
    few = calibrate(model, SAMPLES, TENSORS, counted=1)
    for name in TENSORS:
        assert few[name].minimum == full[name].minimum
        assert few[name].maximum == full[name].maximum
        assert few[name].moving_maximum == full[name].moving_maximum
        assert few[name].count == full[name].count == 3 * WIDE
    assert few["a"].minimum == min(float((-one["x"]).min()) for one in SAMPLES)
    picks = digest(SAMPLES[0]["x"]).picks.size
    assert counts(few["a"]) == picks
    assert counts(full["a"]) == 3 * picks


def test_small_tensors_are_counted_in_as_many_samples_as_large_ones() -> None:
    model = inferred("(float[1,64] x) => (float[1,64] y) { y = Neg(x) }")
    samples = [{"x": sample["x"][:, :64]} for sample in SAMPLES]
    found = calibrate(model, samples, ["x", "y"], counted=1)
    assert counts(found["x"]) == counts(found["y"]) == 64
    assert found["y"].count == 3 * 64
    assert found["y"].minimum == min(float((-one["x"]).min()) for one in samples)


def test_logits_are_counted_in_all_samples() -> None:
    model = inferred(MODEL)
    found = calibrate(model, SAMPLES, TENSORS, logits=["a"], counted=1)
    assert counts(found["a"]) == 3 * counts(found["y"])


def test_nan_is_found_in_samples_that_are_not_counted() -> None:
    bad = {"x": SAMPLES[0]["x"].copy()}
    model = inferred(f"(float[1,{WIDE}] x) => (float[1,{WIDE}] y) {{ y = Sqrt(x) }}")
    good = {"x": np.abs(bad["x"])}
    with pytest.raises(DataError, match="sample 1: Tensor 'y' holds NaN"):
        calibrate(model, [good, bad], ["y"], counted=1)
