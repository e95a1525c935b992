"""16 bits hold all that was seen, whatever the observer: clipping wins next to nothing there."""

import numpy as np
import onnx
import pytest

from snapq.precision import ActivationType
from snapq.quantization.calibration.digest import digest
from snapq.quantization.calibration.observers.base import observer
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.quantization.odd_models import Builder, scalar


@pytest.mark.parametrize("name", ["mse", "sqnr", "auto", "entropy"])
def test_a_value_that_the_subsample_misses_stays_within_16_bits(name):
    b = Builder()
    model = b.model(b.add("Mul", b.feed("x", 1, 128, 384), np.float32([0.5])))
    x = np.random.default_rng(0).standard_t(3, (1, 128, 384)).astype(np.float32).clip(-10, 10)
    missed = np.flatnonzero(np.isin(x, digest(x).picks, invert=True))[0]
    x.reshape(-1)[missed] = 222.0
    scheme = Scheme(activations=ActivationType.UINT16, observer=observer(name))
    found = quantize(model, [{"x": x}], scheme).encodings["x"]
    assert found.scale.item() * (65535 - found.zero_point.item()) == pytest.approx(222, rel=1e-3)


def test_a_mask_that_a_condition_chooses_is_no_function_of_numbers():
    b = Builder()
    mask = b.feed("mask", 1, 1, 8, dtype=onnx.TensorProto.BOOL)
    chosen = b.add("Where", b.add("Not", mask), scalar(-1e4), scalar(0))
    model = b.model(b.add("Softmax", b.add("Add", b.feed("x", 1, 8, 8), chosen)))
    scheme = Scheme(observer=observer("activation-mse"))
    x = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    assert "x" in quantize(model, [{"x": x, "mask": np.ones((1, 1, 8), bool)}], scheme).encodings
