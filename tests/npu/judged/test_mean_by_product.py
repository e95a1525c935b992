"""A mean that is a product has the values of the mean, and is faster where it is meant to be."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import mean_by_product
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import assert_same_results, build


def network(channels: int = 512, height: int = 3, width: int = 2, *, keep: int = 0) -> ir.Model:
    """A Conv, the mean of its maps, and a layer behind."""
    wide = f"{channels},1,1" if keep else f"{channels}"
    text = f"""(float[1,8,{height},{width}] x, float[{channels},8,1,1] w, float[1,{wide}] w1)
        => (float[1,{wide}] y) <int64[2] a = {{2, -1}}> {{ c = Conv(x, w) r = Relu(c)
        m = ReduceMean <keepdims = {keep}> (r, a) y = Mul(m, w1) }}"""
    return prepare(build(text, 19), {}).model


@pytest.mark.parametrize("keep", [0, 1])
def test_values_are_the_same(keep: int) -> None:
    model = network(keep=keep)
    (name,) = mean_by_product.sites(model)
    made = mean_by_product.apply(model, [name])
    assert "ReduceMean" not in [node.op_type for node in made.graph]
    assert_same_results(model, made)


def test_large_and_narrow_maps_and_integers_stay() -> None:
    assert not mean_by_product.sites(network(512, 7, 7))
    assert not mean_by_product.sites(network(64))
    model = network()
    feeds = [{"x": np.ones((1, 8, 3, 2), np.float32)}]
    quantized = quantize(model, feeds, Scheme(activations=ActivationType.UINT8)).model
    assert not mean_by_product.sites(quantized)


def test_it_is_taken_where_it_is_faster_and_right_there() -> None:
    model = network(1024)
    x = np.random.default_rng(0).standard_normal((1, 8, 3, 2)).astype(np.float32)
    found = Model(model, find("qcs9075"), variants=Variants(tries=2))
    plain = Model(model, find("qcs9075"), variants=Variants(tries=1))
    assert "mean_by_product" in found.form.rewrites
    assert found.estimate().cycles < plain.estimate().cycles
    (taken,) = next(iter(found.simulate([{"x": x}]))).values()
    (given,) = next(iter(plain.simulate([{"x": x}]))).values()
    np.testing.assert_allclose(taken, given, atol=2e-3 * np.abs(given).max())
