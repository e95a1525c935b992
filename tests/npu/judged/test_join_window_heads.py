"""Heads of windows that a Concat joins give the codes that a Transpose gives."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import join_window_heads
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import build

HEADS, SIZE = 4, 48


def network(windows: int = 4, tokens: int = 64) -> ir.Model:
    """Attention within windows, and the layer behind it."""
    rows, channels = windows * tokens, HEADS * SIZE
    weights = ", ".join(f"float[{channels},{channels}] w{i}" for i in range(4))
    text = f"""(float[{rows},{channels}] x, {weights}) => (float[{rows},{channels}] y)
        <int64[4] heads = {{{windows},{tokens},{HEADS},{SIZE}}},
         int64[2] rows = {{{rows},{channels}}}, float scale = {{0.144}}> {{
        a = MatMul(x, w0) ah = Reshape(a, heads) q = Transpose <perm = [0, 2, 1, 3]> (ah)
        b = MatMul(x, w1) bh = Reshape(b, heads) k = Transpose <perm = [0, 2, 3, 1]> (bh)
        c = MatMul(x, w2) ch = Reshape(c, heads) v = Transpose <perm = [0, 2, 1, 3]> (ch)
        s = MatMul(q, k) l = Mul(s, scale) p = Softmax <axis = -1> (l) m = MatMul(p, v)
        o = Transpose <perm = [0, 2, 1, 3]> (m) j = Reshape(o, rows) y = MatMul(j, w3) }}"""
    model = build(text, 19)
    for value in model.graph.initializers.values():
        if value.const_value is not None and str(value.name).startswith("w"):
            array = value.const_value.numpy()
            value.const_value = ir.tensor((array / channels**0.5).astype(np.float32))
    return prepare(model, {}).model


def feed(model: ir.Model) -> dict[str, np.ndarray]:
    """A random input."""
    (x,) = model.graph.inputs
    assert x.shape is not None
    return {"x": np.random.default_rng(1).standard_normal(x.shape.numpy()).astype(np.float32)}


def in_codes(model: ir.Model, activations: ActivationType) -> ir.Model:
    """The model with activations of these bits."""
    return quantize(model, [feed(model)], Scheme(activations=activations)).model


@pytest.mark.parametrize("activations", [None, ActivationType.UINT8, ActivationType.UINT16])
def test_values_are_the_same(activations: ActivationType | None) -> None:
    model = network(3, 5)
    if activations is not None:
        model = in_codes(model, activations)
    made = join_window_heads.apply(model, join_window_heads.sites(model))
    turns = [sum(node.op_type == "Transpose" for node in one.graph) for one in (model, made)]
    assert turns[1] == turns[0] - 1
    (given,), (taken,) = (
        CpuModel(one, optimize=False).run(feed(model)).values() for one in (model, made)
    )
    np.testing.assert_array_equal(given, taken)


def test_one_window_stays() -> None:
    assert not join_window_heads.sites(network(1, 20))


def test_it_is_taken_where_it_is_faster() -> None:
    model = in_codes(network(), ActivationType.UINT16)
    found = Model(model, find("sa8797p"), variants=Variants(tries=8))
    plain = Model(model, find("sa8797p"), variants=Variants(tries=1))
    assert "join_window_heads" in found.form.rewrites
    assert found.estimate().cycles < 0.7 * plain.estimate().cycles
    (taken,) = next(iter(found.simulate([feed(model)]))).values()
    (given,) = next(iter(plain.simulate([feed(model)]))).values()
    assert np.abs(taken - given).max() < 2e-3 * np.abs(given).max()
