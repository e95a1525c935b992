"""Maps in strips have the values of whole maps, and are faster where they are meant to be."""

from __future__ import annotations

import onnx_ir as ir

from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import map_strips
from snapq.npu.model import Model, Variants
from tests.graph.models import assert_same_results, build


def network(channels: int = 16, height: int = 64, width: int = 2048) -> ir.Model:
    """Layers that reach beyond their places, beside one another, and a map that is given too."""
    half = channels // 2
    text = f"""(float[1,4,{height},{width}] x, float[{channels},4,1,1] w1,
        float[{channels},{channels},3,3] w2, float[{channels},1,1,5] w3,
        float[{channels},{half},3,3] w4, float[{channels}] w5, float[8,{2 * channels},1,1] w6,
        float[{channels},1,1] w7) => (float[1,8,{height},{width}] y,
        float[1,{channels},{height},{width}] g) {{
        a = Conv(x, w1) r = LeakyRelu(a)
        b = Conv <pads = [1, 1, 1, 1]> (r, w2, w5) c = PRelu(b, w7)
        d = Conv <pads = [0, 1, 0, 3], group = {channels}> (c, w3) g = Sigmoid(d)
        h, k = Split <axis = 1, num_outputs = 2> (c)
        e = Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (k, w4) m = Add(e, g)
        n = Concat <axis = 1> (m, r) o = Conv(n, w6) y = Softmax <axis = 1> (o) }}"""
    return prepare(build(text, 19), {}).model


def test_values_are_the_same_along_rows_and_columns() -> None:
    for height, width in ((64, 2048), (2050, 62)):
        model = network(height=height, width=width)
        made = map_strips.apply(model, map_strips.sites(model))
        assert sum(node.op_type == "Slice" for node in made.graph) > sum(
            node.op_type == "Slice" for node in model.graph
        )
        assert_same_results(model, made)


def test_small_maps_layers_alone_and_strides_stay() -> None:
    assert not map_strips.sites(network(height=16))
    alone = """(float[1,3,64,2048] x, float[16,3,3,3] w1, float[16,16,3,3] w2)
        => (float[1,16,32,1024] y) { a = Conv <pads = [1, 1, 1, 1]> (x, w1)
        r = Relu(a) y = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (r, w2) }"""
    assert not map_strips.sites(prepare(build(alone, 19), {}).model)


def test_they_are_taken_where_they_are_faster() -> None:
    text = """(float[1,32,16,512] x, float[256,32,1,1] w1, float[256,256,3,3] w2,
        float[256,256,3,3] w3, float[256,256,3,3] w4, float[32,768,1,1] w5)
        => (float[1,32,16,512] y) { a = Conv(x, w1) b = Conv <pads = [1, 1, 1, 1]> (a, w2)
        c = LeakyRelu(b) d = Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (c, w3)
        e = LeakyRelu(d) f = Conv <pads = [1, 1, 1, 1]> (e, w4) g = LeakyRelu(f)
        h = Concat <axis = 1> (c, e, g) y = Conv(h, w5) }"""
    model = prepare(build(text, 19), {}).model
    found = Model(model, find("qcs9075"), variants=Variants(tries=2))
    plain = Model(model, find("qcs9075"), variants=Variants(tries=1))
    assert found.form.rewrites == ("map_strips",)
    assert found.estimate().cycles < 0.9 * plain.estimate().cycles
