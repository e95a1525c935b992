"""Operators that only ONNX Runtime has: written as those of ONNX, they compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from snapq.errors import ModelError
from snapq.graph.io import load
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.graph.unknown_operators import refuse_unknown_operators
from tests.graph.models import assert_same_results, build, feeds_for, run

_RUNTIME = ', "com.microsoft" : 1'

BERT = """(int32[2,6] i, int32[2,6] s, float[4,8] w, float[6,8] w1, float[3,8] w2, float[8] w3,
    float[8] w4, int32[2,6] m, float[8,24] w5, float[24] w6) => (float[2,6,8] y) {
    e, n = com.microsoft.EmbedLayerNormalization (i, s, w, w1, w2, w3, w4, m)
    y = com.microsoft.Attention <num_heads = 2> (e, w5, w6, n) }"""

CASES = {
    "Gelu": "(float[2,3,8] x) => (float[2,3,8] y) { y = com.microsoft.Gelu (x) }",
    "FastGelu": """(float[2,3,8] x, float[8] w) => (float[2,3,8] y) {
        y = com.microsoft.FastGelu (x, w) }""",
    "BiasGelu": """(float[2,3,8] x, float[8] w) => (float[2,3,8] y) {
        y = com.microsoft.BiasGelu (x, w) }""",
    "QuickGelu": """(float[2,3,8] x) => (float[2,3,8] y) {
        y = com.microsoft.QuickGelu <alpha = 1.0> (x) }""",
    "FusedConv": """(float[1,4,9,9] x, float[8,4,3,3] w, float[8] w1, float[1,8,5,5] z)
        => (float[1,8,5,5] y, float[1,8,5,5] u, float[1,8,5,5] v) {
        y = com.microsoft.FusedConv <activation = "Relu", pads = [1, 1, 1, 1], strides = [2, 2]>
            (x, w, w1, z)
        u = com.microsoft.FusedConv <activation = "LeakyRelu", activation_params = [0.2],
            pads = [1, 1, 1, 1], strides = [2, 2]> (x, w)
        v = com.microsoft.FusedConv <activation = "Clip", activation_params = [-0.5, 0.5],
            pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, w1) }""",
    "FusedGemm": """(float[3,4] x, float[5,4] w, float[5] w1) => (float[3,5] y) {
        y = com.microsoft.FusedGemm <activation = "Relu", transB = 1> (x, w, w1) }""",
    "FusedMatMul": """(float[2,3,4,5] x, float[2,3,6,5] z, float[4,2,3,5] a)
        => (float[2,3,4,6] y, float[2,3,5,6] u, float[2,3,4,6] v) {
        y = com.microsoft.FusedMatMul <alpha = 0.125, transB = 1> (x, z)
        u = com.microsoft.FusedMatMul <transA = 1> (x, y)
        v = com.microsoft.FusedMatMul <transBatchA = 1, transB = 1> (a, z) }""",
    "SimplifiedLayerNormalization": """(float[2,3,8] x, float[8] w) => (float[2,3,8] y) {
        y = SimplifiedLayerNormalization <axis = -1, epsilon = 0.00001> (x, w) }""",
    "SkipLayerNormalization": """(float[2,3,8] x, float[2,3,8] s, float[8] w, float[8] w1,
        float[8] w2) => (float[2,3,8] y, float[2,3,8] z) {
        y, m, v, z = com.microsoft.SkipLayerNormalization <epsilon = 0.00001>
            (x, s, w, w1, w2) }""",
    "SkipSimplifiedLayerNormalization": """(float[2,3,8] x, float[2,3,8] s, float[8] w)
        => (float[2,3,8] y, float[2,3,8] z) {
        y, m, v, z = com.microsoft.SkipSimplifiedLayerNormalization (x, s, w) }""",
    "Attention with a count of tokens": BERT,
    "Attention with a mask": """(float[2,6,8] x, float[8,24] w, float[24] w1, bool[2,6] b)
        => (float[2,6,8] y, float[2,6,8] z) {
        m = Cast <to = 6> (b)
        y = com.microsoft.Attention <num_heads = 2> (x, w, w1, m)
        z = com.microsoft.Attention <num_heads = 4, unidirectional = 1> (x, w, w1) }""",
    "MultiHeadAttention": """(float[2,6,8] q, float[2,5,8] k, float[2,5,8] v, float[24] w,
        float[1,1,6,5] a) => (float[2,6,8] y, float[2,6,8] z) {
        y = com.microsoft.MultiHeadAttention <num_heads = 2, scale = 0.3> (q, k, v, w, , a)
        z = com.microsoft.MultiHeadAttention <num_heads = 4> (q, k, v) }""",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_it_is_written_with_operators_of_onnx(text: str) -> None:
    model = build(text, domains=_RUNTIME)
    prepared = prepare(model, {})
    assert {node.domain for node in prepared.model.graph} == {""}
    onnx.checker.check_model(
        onnx.shape_inference.infer_shapes(ir.serde.serialize_model(prepared.model))
    )
    if text != BERT:  # whose random masks are not those of a sentence with nothing behind
        assert_same_results(model, prepared.model, 1e-5)


def test_a_mask_hides_what_lies_behind_the_sentence() -> None:
    model = build(BERT, domains=_RUNTIME)
    prepared = prepare(model, {}).model
    feeds = feeds_for(input_specs(prepared))
    feeds["m"] = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.int32)
    for wanted, found in zip(run(model, feeds), run(prepared, feeds), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_encoder_that_onnx_runtime_optimized(ppocr_rec: Path, tmp_path: Path) -> None:
    options, file = ort.SessionOptions(), tmp_path / "optimized.onnx"
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(file)
    ort.InferenceSession(ppocr_rec, options)
    model = load(file)
    assert {"FusedConv", "Gelu", "QuickGelu"} <= {node.op_type for node in model.graph}
    prepared = prepare(model, {"x": (1, 3, 48, 64)})
    assert {node.domain for node in prepared.model.graph} == {""}


def test_what_is_laid_out_for_one_processor_is_refused(ppocr_rec: Path, tmp_path: Path) -> None:
    options, file = ort.SessionOptions(), tmp_path / "optimized.onnx"
    options.optimized_model_filepath = str(file)
    ort.InferenceSession(ppocr_rec, options)
    with pytest.raises(ModelError, match=r"processor.*ORT_ENABLE_EXTENDED"):
        refuse_unknown_operators(load(file))
