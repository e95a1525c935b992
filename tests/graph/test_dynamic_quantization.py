"""Models that ONNX Runtime quantized dynamically: their float form, with the weights they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.stages.prepare import convert
from tests.graph.models import build, feeds_for, run

NETWORK = """(float[1,3,16,16] x, float[8,3,3,3] w, float[8] w1, float[128,10] w2, float[10] w3)
    => (float[1,10] y) {
    a = Conv <pads = [1, 1, 1, 1], strides = [4, 4]> (x, w, w1) b = Relu (a)
    c = Flatten (b) d = MatMul (c, w2) y = Add (d, w3) }"""
RECURRENT = """(float[5,1,6] x, float[2,16,6] w, float[2,16,4] w1, float[2,32] w2)
    => (float[5,2,1,4] y, float[2,1,4] h) {
    y, h = LSTM <hidden_size = 4, direction = "bidirectional"> (x, w, w1, w2) }"""
LOOKED_UP = """(int64[1,16] i, float[50,32] w, float[32,64] w1, float[64] w2, float[64,10] w3,
    float[50,10] w4) => (float[1,16,10] y) {
    a = Gather (w, i) b = MatMul (a, w1) c = Add (b, w2) d = Relu (c) e = MatMul (d, w3)
    f = Gather (w4, i) y = Add (e, f) }"""
TURNED = """(int64[1,5] i, float[50,6] w, float[2,16,6] w1, float[2,16,4] w2, float[2,32] w3)
    => (float[5,2,1,4] y) {
    a = Gather (w, i) b = Transpose <perm = [1, 0, 2]> (a)
    y = LSTM <hidden_size = 4, direction = "bidirectional"> (b, w1, w2, w3) }"""
BOTH = "(float[2,4,6] x, float[2,6,5] z) => (float[2,4,5] y) { y = MatMul (x, z) }"

_OPERATORS = ["Conv", "Gather", "LSTM", "MatMul", "Transpose"]
WAYS: dict[str, dict[str, Any]] = {
    "int8": {},
    "uint8": {"weight_type": QuantType.QUInt8},
    "per channel": {"per_channel": True},
    "both sides": {"extra_options": {"MatMulConstBOnly": False}},
}


def _ratio(wanted: list[np.ndarray], found: list[np.ndarray]) -> float:
    noise = sum(float(np.square(a - b).sum()) for a, b in zip(wanted, found, strict=True))
    return 10 * np.log10(sum(float(np.square(a).sum()) for a in wanted) / max(noise, 1e-20))


@pytest.mark.parametrize("optimized", [False, True], ids=["as written", "optimized"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "text",
    [NETWORK, RECURRENT, LOOKED_UP, TURNED],
    ids=["layers", "recurrent", "looked up", "looked up and turned"],
)
def test_it_is_float_again(text: str, way: dict[str, Any], optimized: bool, tmp_path: Path) -> None:
    source, file = build(text), tmp_path / "dynamic.onnx"
    ir.save(source, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", file, op_types_to_quantize=_OPERATORS, **way)
    if optimized:
        options, given = ort.SessionOptions(), file
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(file := tmp_path / "optimized.onnx")
        ort.InferenceSession(given, options)
    dynamic = ir.load(file)
    done = convert(dynamic, {}, tmp_path / "prepared.onnx")
    prepared = ir.load(tmp_path / "prepared.onnx")
    left = {node.op_type for node in prepared.graph}
    assert not {name for name in left if "Integer" in name or "Dynamic" in name or "Quant" in name}
    assert "quantized dynamically" in " ".join(done.notes)
    onnx.checker.check_model(ir.serde.serialize_model(prepared))
    feeds = feeds_for(input_specs(prepared))
    truth, ours = run(source, feeds), run(prepared, feeds)
    # The weights are the same integers; what goes is the rounding of activations.
    assert _ratio(truth, ours) > max(30.0, _ratio(truth, run(dynamic, feeds)) - 3)


def test_a_product_of_two_activations_is_the_float_one(tmp_path: Path) -> None:
    source, file = build(BOTH), tmp_path / "dynamic.onnx"
    ir.save(source, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", file, extra_options={"MatMulConstBOnly": False})
    prepared = prepare(ir.load(file), {})
    feeds = feeds_for(input_specs(prepared.model))
    assert _ratio(run(source, feeds), run(prepared.model, feeds)) > 120


def test_a_bias_in_integers_stays_as_it_was() -> None:
    """As versions of ONNX Runtime up to 1.8 wrote it: divided by the scales, and rounded down."""
    dynamic = build(
        """(float[1,2,6,6] x, uint8[4,2,3,3] k) => (float[1,4,4,4] y)
        <float s = {0.01}, uint8 z = {128}, float[1,4,1,1] b = {0.5, -0.25, 0.125, 1.0}> {
        q, qs, qz = DynamicQuantizeLinear (x) scale = Mul (qs, s)
        d = Div (b, scale) f = Floor (d) i = Cast <to = 6> (f)
        p = ConvInteger (q, k, qz, z) t = Add (p, i) c = Cast <to = 1> (t) y = Mul (c, scale) }"""
    )
    kernel = np.random.default_rng(0).integers(0, 255, (4, 2, 3, 3)).astype(np.uint8)
    value = dynamic.graph.inputs.pop(1)
    value.const_value = ir.tensor(kernel, name="k")
    dynamic.graph.register_initializer(value)
    prepared = prepare(dynamic, {})
    assert [node.op_type for node in prepared.model.graph] == ["Conv"]
    feeds = feeds_for(input_specs(prepared.model))
    assert _ratio(run(dynamic, feeds), run(prepared.model, feeds)) > 30
