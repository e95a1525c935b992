"""Points on maps have the values of points in rows, and are faster where they are meant to be."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import points_on_maps
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import assert_same_results, build

POINTS = """
    p = Reshape(j, s) q = Slice(p, o, i, i) r = Slice(p, i, e, i) m = Mul(q, w4) a = Add(m, w5)
    u = Mul(a, w6) v = Sigmoid(r) n = Concat <axis = 2> (u, v) y = Reshape(n, f) }"""
"""Coordinates with anchors and strides, and how visible the points are."""


def network(count: int = 2, sizes: tuple[int, int] = (4, 3)) -> ir.Model:
    """Two maps of points, as YOLO's pose networks have them."""
    rows, places = 3 * count, sum(size * size for size in sizes)
    first, second = (f"float[1,8,{size},{size}]" for size in sizes)
    text = f"""({first} x, {second} z, float[{rows},8,1,1] w1, float[{rows}] w2,
        float[{rows},8,1,1] w3, float[1] w4, float[2,{places}] w5, float[1,{places}] w6)
        => (float[1,{rows},{places}] y) <int64[3] f = {{1, {rows}, -1}},
        int64[4] s = {{1, {count}, 3, {places}}}, int64[1] o = {{0}}, int64[1] i = {{2}},
        int64[1] e = {{3}}> {{
        a0 = Conv(x, w1, w2) b0 = Conv(z, w3) c = Reshape(a0, f) d = Reshape(b0, f)
        j = Concat <axis = 2> (c, d) {POINTS}"""
    return prepare(build(text, 19), {}).model


ONE_MAP = """(float[1,4,4,3] x, float[6,4,3,3] w1, float[6] w2, float[12] w3, float[2,1,1] w4)
    => (float[1,6,12] y) <int64[3] f = {1, 6, 12}, int64[4] s = {1, 2, 3, 12}> {
    j = Conv <pads = [1, 1, 1, 1]> (x, w1, w2) p = Reshape(j, s)
    q, r = Split <axis = 2, num_outputs = 2> (p) t = Tanh(r) m = Div(t, w3) u = Sub(w4, m)
    n = Concat <axis = 2> (u, q) y = Reshape(n, f) }"""
MIXED = ONE_MAP.replace("u = Sub(w4, m)", "b = Slice(q, z, o, i) u = Mul(m, b)").replace(
    "s = {1, 2, 3, 12}", "s = {1, 2, 3, 12}, int64[1] z = {0}, int64[1] o = {1}, int64[1] i = {2}"
)
"""Of two rows that are multiplied with each other."""
SEEN = ONE_MAP.replace("y) <", "y, float[1,2,1,12] t) <")
"""Rows that the network gives."""


@pytest.mark.parametrize("model", [network(), prepare(build(ONE_MAP, 19), {}).model])
def test_values_are_the_same(model: ir.Model) -> None:
    (name,) = points_on_maps.sites(model)
    made = points_on_maps.apply(model, [name])
    assert "Slice" not in [node.op_type for node in made.graph]
    assert "Split" not in [node.op_type for node in made.graph]
    assert_same_results(model, made)


def test_rows_that_are_mixed_or_read_by_others_and_integers_stay() -> None:
    assert not any(points_on_maps.sites(prepare(build(one, 19), {}).model) for one in (MIXED, SEEN))
    model = network()
    feeds = [{"x": np.ones((1, 8, 4, 4), np.float32), "z": np.ones((1, 8, 3, 3), np.float32)}]
    quantized = quantize(model, feeds, Scheme(activations=ActivationType.UINT16)).model
    assert not points_on_maps.sites(quantized)


def test_it_is_taken_where_it_is_faster_and_right_there() -> None:
    model = network(17, (20, 10))
    rng = np.random.default_rng(0)
    feed = {
        name: rng.standard_normal((1, 8, size, size)).astype(np.float32)
        for name, size in (("x", 20), ("z", 10))
    }
    found = Model(model, find("qcs9075"), variants=Variants(tries=2))
    plain = Model(model, find("qcs9075"), variants=Variants(tries=1))
    assert "points_on_maps" in found.form.rewrites
    assert found.estimate().cycles < plain.estimate().cycles
    (taken,) = next(iter(found.simulate([feed]))).values()
    (given,) = next(iter(plain.simulate([feed]))).values()
    np.testing.assert_allclose(taken, given, atol=2e-3 * np.abs(given).max())
