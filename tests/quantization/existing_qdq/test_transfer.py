"""Encodings of weights follow what preparing made of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.existing_qdq.transfer import transfer
from snapq.quantization.granularity import PER_TENSOR, Granularity, PerAxis, PerBlock
from tests.quantization.odd_models import Builder

WEIGHT = np.random.default_rng(3).normal(size=(4, 32)).astype(np.float32)
CHANNELS = np.float32([[2.0], [0.5], [1.0], [3.0]])
FORMS: dict[str, tuple[Granularity, tuple[int, ...]]] = {
    "one scale": (PER_TENSOR, ()),
    "channels": (PerAxis(0), (4,)),
    "blocks": (PerBlock(1, 16), (4, 2)),
}


def product(weight: np.ndarray) -> tuple[ir.Model, dict[str, np.ndarray]]:
    b = Builder()
    model = b.model(b.add("Gemm", b.feed("x", 2, 32), b.constant(weight, "weight"), transB=1))
    return model, {"x": np.ones((2, 32), np.float32)}


def moved(form: str, factor: np.ndarray) -> tuple[Encoding, Encoding | None]:
    granularity, shape = FORMS[form]
    scale = np.full(shape, 0.01, np.float32)
    held = Encoding(QuantType.INT8, scale, np.zeros(shape, np.int8), granularity)
    before, after = product(WEIGHT), product(WEIGHT * factor)
    return held, transfer({"weight": held}, before, after).encodings.get("weight")


@pytest.mark.parametrize("form", FORMS)
def test_a_weight_times_a_number_has_scales_times_that_number(form: str) -> None:
    held, found = moved(form, np.float32(0.125))
    assert found is not None
    assert found.granularity == held.granularity
    np.testing.assert_allclose(found.scale, 0.125 * held.scale, rtol=1e-6)


@pytest.mark.parametrize("form", ["channels", "blocks"])
def test_channels_times_numbers_have_scales_times_these(form: str) -> None:
    held, found = moved(form, CHANNELS)
    assert found is not None
    np.testing.assert_allclose(found.scale.reshape(4, -1), CHANNELS * held.scale.reshape(4, -1))


@pytest.mark.parametrize(
    ("form", "factor"),
    [
        ("one scale", CHANNELS),
        ("channels", -CHANNELS),
        ("channels", np.linspace(1, 2, 32, dtype=np.float32)),
    ],
    ids=["one scale for many numbers", "another sign", "numbers of the inputs"],
)
def test_what_other_scales_cannot_tell_is_lost(form: str, factor: np.ndarray) -> None:
    assert moved(form, factor)[1] is None
