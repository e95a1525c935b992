"""What a prediction asks of a network: its kind, its precisions, its boundary."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.graph.prepare import prepare
from snapq.precision import ActivationType, WeightType
from snapq.prediction.features import boundary_bytes, features, nodes, normalized, precisions
from snapq.prediction.kinds import kind_of
from snapq.prediction.network import Kind
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import build

CONV = """(float[1,8,16,16] x, float[32,8,3,3] w1, float[8,32,3,3] w2) => (float[1,8,16,16] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1)
    b = Relu(a)
    y = Conv<pads=[1,1,1,1]>(b, w2)
}"""
ATTENTION = """(float[1,16,8] x, float[8,8] w_q, float[8,8] w_k) => (float[1,16,8] y) {
    q = MatMul(x, w_q)
    k = MatMul(x, w_k)
    t = Transpose<perm=[0,2,1]>(k)
    s = MatMul(q, t)
    p = Softmax<axis=-1>(s)
    y = MatMul(p, x)
}"""
CLASSES = """(float[1,8] x, float[8,10] w) => (float[1,10] y) {
    a = MatMul(x, w)
    y = Softmax<axis=-1>(a)
}"""
LSTM = """(float[4,1,8] x, float[1,32,8] w, float[1,32,8] wr) => (float[4,1,1,8] y) {
    y = LSTM<hidden_size=8>(x, w, wr)
}"""


def quantized(activations: ActivationType, weights: WeightType = WeightType.INT8) -> ir.Model:
    samples = [{"x": np.random.default_rng(0).normal(size=(1, 8, 16, 16)).astype(np.float32)}]
    return quantize(
        prepare(build(CONV), {}).model, samples, Scheme(weights=weights, activations=activations)
    ).model


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (CONV, Kind.CONVOLUTIONAL),
        (ATTENTION, Kind.TRANSFORMER),
        (CLASSES, Kind.ANY),
        (LSTM, Kind.RECURRENT),
    ],
)
def test_a_kind_is_told_by_what_the_graph_computes(text: str, kind: Kind) -> None:
    assert kind_of(build(text)) is kind


@pytest.mark.parametrize(
    ("activations", "weights", "name"),
    [
        (ActivationType.UINT8, WeightType.INT8, "w8a8"),
        (ActivationType.UINT16, WeightType.INT8, "w8a16"),
        (ActivationType.UINT16, WeightType.INT4, "4-bit weights"),
    ],
)
def test_precisions_are_read_from_the_encodings(
    activations: ActivationType, weights: WeightType, name: str
) -> None:
    assert precisions(quantized(activations, weights)) == (name,)
    assert kind_of(quantized(activations, weights)) is Kind.CONVOLUTIONAL


def test_what_is_moved_behind_its_encoding_keeps_its_precision() -> None:
    model = build(
        """(float[1,4,8] x, float[4,8] w) => (float[1,4,4] y)
        <float s = {0.1}, uint8 z = {128}, float t = {0.1}, int8 u = {0}> {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            v = QuantizeLinear(w, t, u)
            e = DequantizeLinear(v, t, u)
            m = Transpose<perm=[1,0]>(e)
            y = MatMul(d, m)
        }"""
    )
    assert precisions(model) == ("w8a8",)


def test_a_float_model_is_float_and_its_boundary_is_what_goes_in_and_out() -> None:
    model = build(CONV)
    found = features(model)
    assert (found.precisions, found.nodes) == (("float",), 3)
    assert found.boundary_bytes == boundary_bytes(model) == 2 * 8 * 16 * 16 * 4


def test_multiplications_count_where_shapes_are_not_told_and_after_quantizing() -> None:
    layers = 2 * 32 * 8 * 9 * 16 * 16
    assert build(CONV).graph[0].outputs[0].shape is None
    assert features(build(CONV)).macs == pytest.approx(layers, rel=0.02)
    assert features(quantized(ActivationType.UINT8)).macs == pytest.approx(layers, rel=0.02)


def test_quantizing_adds_no_nodes_that_count() -> None:
    assert nodes(quantized(ActivationType.UINT8)) <= nodes(build(CONV))


PICTURE = """(float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,8,8] y)
    <float[1,3,1,1] mean = {{0.4, 0.4, 0.4}}> {{
        {before}
        y = Conv<pads=[1,1,1,1]>(a, w)
    }}"""


@pytest.mark.parametrize(
    ("before", "values"),
    [
        ("a = Sub(x, mean)", 192),
        ("m = Identity(x) a = Div(m, mean)", 192),
        ("a = Relu(x)", 0),
        ("a = Add(x, x)", 0),
    ],
)
def test_pictures_that_a_network_normalizes_itself_are_counted(before: str, values: int) -> None:
    assert normalized(build(PICTURE.format(before=before))) == values


def test_a_normalization_between_codes_counts_too() -> None:
    text = """(uint8[1,3,8,8] x) => (uint8[1,3,8,8] y)
        <float s = {0.1}, uint8 z = {128}, uint8[1,3,1,1] mean = {4, 4, 4}> {
            a = DequantizeLinear(x, s, z)
            m = DequantizeLinear(mean, s, z)
            b = Sub(a, m)
            y = QuantizeLinear(b, s, z)
        }"""
    assert normalized(build(text)) == 192
