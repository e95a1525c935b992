"""What a tensor's only reader makes of it decides where its range ends."""

import numpy as np
import pytest

from snapq.operators import quantized
from snapq.quantization.calibration.observers.activation_mse import ActivationMse
from snapq.quantization.encodings import QuantType
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.responses import responses
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds, scalar

REACH = 40.0
X = np.linspace(-30.0, 30.0, 121)


def silu(b, x):
    return b.add("Mul", x, b.add("Sigmoid", x))


def gelu_by_tanh(b, x):
    inner = b.add("Mul", b.add("Add", x, scalar(0.1)), scalar(0.8))
    return b.add("Mul", x, b.add("Add", b.add("Tanh", inner), scalar(1.0)))


def layer(b):
    weight = np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1) * REACH
    return b.add("Conv", b.feed("x", 1, 8, 4, 4), weight, np.zeros(8, np.float32))


def found(model):
    decisions = {
        node: Decision(rule=quantized(node), dtype=QuantType.UINT8) for node in model.graph
    }
    return {str(value.name): one for value, one in responses(model.graph, decisions, 21).items()}


@pytest.mark.parametrize(
    ("function", "truth"),
    [
        (silu, lambda x: x / (1 + np.exp(-x))),
        (gelu_by_tanh, lambda x: x * (np.tanh(0.8 * (x + 0.1)) + 1)),
        (lambda b, x: b.add("Sigmoid", x), lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_a_function_of_one_tensor_is_read_from_the_graph(function, truth):
    b = Builder(opset=21)
    x = layer(b)
    model = b.model(function(b, x))
    np.testing.assert_allclose(found(model)[x](X), truth(X), atol=1e-5, rtol=1e-5)


def test_a_tensor_that_something_else_reads_as_well_has_none():
    b = Builder(opset=21)
    x = layer(b)
    other = b.add("Conv", x, b.normal(8, 8, 1, 1), b.normal(8))
    assert x not in found(b.model(silu(b, x), other))


def test_a_function_is_found_behind_what_moves_and_joins():
    b = Builder(opset=21)
    x = layer(b)
    flat = b.add("Reshape", x, np.array([1, 8, 16]))
    model = b.model(b.add("Sigmoid", b.add("Concat", flat, b.feed("z", 1, 8, 16), axis=2)))
    for name in (x, flat):
        np.testing.assert_allclose(found(model)[name](X), 1 / (1 + np.exp(-X)), atol=1e-6)


def test_factors_of_channels_are_no_function_of_one_number():
    b = Builder(opset=21)
    x = layer(b)
    assert x not in found(b.model(b.add("Mul", x, b.normal(1, 8, 1, 1))))


def test_a_clamp_is_left_to_saturation():
    b = Builder(opset=21)
    x = layer(b)
    assert x not in found(b.model(b.add("Relu", x)))


def test_no_codes_are_spent_on_what_an_activation_takes_for_the_same():
    b = Builder(opset=21)
    x = layer(b)
    model = b.model(silu(b, x))
    wide = quantize(model, feeds(model, 4), Scheme()).encodings[x]
    ends = quantize(model, feeds(model, 4), Scheme(observer=ActivationMse())).encodings[x]
    assert float(wide.minimum) < -REACH
    assert -8.0 < float(ends.minimum) < -2.0
    assert float(ends.maximum) > 0.8 * float(wide.maximum)


def test_scores_hold_all_that_8_bits_tell_apart_whatever_was_seen():
    b = Builder(opset=21)
    low = b.add(
        "Conv", b.feed("x", 1, 8, 4, 4), b.normal(8, 8, 1, 1) * 0.1, -8.0 * np.ones(8, np.float32)
    )
    flat = b.add("Reshape", b.add("Sigmoid", low), np.array([1, 8, 16]))
    model = b.model(flat)
    held = quantize(model, feeds(model, 4), Scheme(observer=ActivationMse())).encodings[low]
    assert float(held.maximum) > 5.5
