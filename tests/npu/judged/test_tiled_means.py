"""Means side by side that are Convs or products have their values, and are taken where faster."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import tiled_means
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import assert_same_results, build


def network(kernel: str, size: str, made: str, channels: int = 8) -> ir.Model:
    """Means between two layers of one tap."""
    maps = f"float[1,{channels},{size}] x, float[{channels},{channels},1,1] w"
    text = f"""({maps}, float[4,{channels},1,1] w1) => (float[1,4,{made}] y) {{
        c = Conv(x, w) r = Relu(c)
        m = AveragePool <kernel_shape = [{kernel}], strides = [{kernel}]> (r)
        y = Conv(m, w1) }}"""
    return prepare(build(text, 19), {}).model


@pytest.mark.parametrize(
    ("kernel", "size", "made", "operators"),
    [
        ("3,3", "6,10", "2,3", "Conv Relu Conv Conv"),
        ("5,2", "17,6", "3,3", "Conv Relu MatMul Transpose MatMul Transpose Conv"),
    ],
)
def test_values_are_the_same(kernel: str, size: str, made: str, operators: str) -> None:
    model = network(kernel, size, made)
    (name,) = tiled_means.sites(model)
    rewritten = tiled_means.apply(model, [name])
    assert " ".join(node.op_type for node in rewritten.graph) == operators
    assert_same_results(model, rewritten)


def test_windows_of_powers_of_two_one_window_and_integers_stay() -> None:
    assert not tiled_means.sites(network("2,4", "6,8", "3,2"))
    assert not tiled_means.sites(network("5,6", "5,6", "1,1"))
    model = network("3,3", "6,6", "2,2")
    feeds = [{"x": np.ones((1, 8, 6, 6), np.float32)}]
    quantized = quantize(model, feeds, Scheme(activations=ActivationType.UINT8)).model
    assert not tiled_means.sites(quantized)


def test_it_is_taken_where_it_is_faster_and_right_there() -> None:
    model = network("5,5", "20,20", "4,4", channels=64)
    x = np.random.default_rng(0).standard_normal((1, 64, 20, 20)).astype(np.float32)
    found = Model(model, find("sa8797p"), variants=Variants(tries=2))
    plain = Model(model, find("sa8797p"), variants=Variants(tries=1))
    assert "tiled_means" in found.form.rewrites
    assert found.estimate().cycles < plain.estimate().cycles
    (taken,) = next(iter(found.simulate([{"x": x}]))).values()
    (given,) = next(iter(plain.simulate([{"x": x}]))).values()
    np.testing.assert_allclose(taken, given, atol=2e-3 * np.abs(given).max())
