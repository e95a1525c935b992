"""What an algorithm found for a layer holds for as long as the layer and its data are the same."""

from dataclasses import replace

import numpy as np
import pytest

from snapq.quantization.encodings import QuantType, asymmetric, symmetric
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning import known_layers
from snapq.quantization.tuning.known_layers import KnownLayers
from snapq.quantization.tuning.layers import Layer

LAYER = Layer("conv", "Gemm", "x", np.eye(4, dtype=np.float32), np.ones(4, np.float32))
PLAIN = symmetric(1.0, QuantType.INT8)
DATA = asymmetric(0.0, 1.0, QuantType.UINT8)
FOUND = Tuned(PLAIN, np.eye(4, dtype=np.int8))


def place(layer=LAYER, plain=PLAIN, data=DATA):
    return KnownLayers().place(layer, plain, data)


def test_a_layer_that_is_alike_is_known():
    known = KnownLayers()
    known.keep("gptq", place(), FOUND)
    same = replace(LAYER, weight=LAYER.weight.copy(), data="another_name")
    assert known.get("gptq", place(same)) is FOUND
    assert known.get("adaround", place(same)) is None


@pytest.mark.parametrize(
    "other",
    [
        place(replace(LAYER, weight=2 * LAYER.weight)),
        place(replace(LAYER, bias=np.zeros(4, np.float32))),
        place(replace(LAYER, transposed=True)),
        place(plain=symmetric(2.0, QuantType.INT8)),
        place(data=asymmetric(0.0, 2.0, QuantType.UINT8)),
    ],
    ids=["weight", "bias", "form", "encoding", "data"],
)
def test_a_layer_that_differs_is_not(other):
    assert place() != other


def test_what_was_found_first_is_dropped_first(monkeypatch):
    monkeypatch.setattr(known_layers, "_MOST", 2 * FOUND.integers.nbytes)
    known = KnownLayers()
    for name in ("first", "second", "third"):
        known.keep(name, place(), FOUND)
    assert known.get("first", place()) is None
    assert known.get("third", place()) is FOUND
