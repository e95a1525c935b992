from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph.prepare import prepare


def test_steps_around_a_network_are_written_with_operators_of_onnx() -> None:
    proto = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["": 18, "ai.onnx.ml": 3]>
        mixture (float[2, 3] x) => (float[2, 3] p, float[2, 3] b, float[2, 2] c, int64[1, 2] label)
        <float[3, 3] w = {1, 0, 2, 0, 1, 1, 3, 0, 1}, int64[2] two = {0, 2},
         int64[3] classes = {7, 8, 9}> {
            s = ai.onnx.ml.Scaler <offset = [1.0, 2.0, 3.0], scale = [0.5, 2.0, 1.0]> (x)
            p = MatMul (s, w)
            b = ai.onnx.ml.Binarizer <threshold = 0.5> (p)
            c = ai.onnx.ml.ArrayFeatureExtractor (p, two)
            i = ArgMax <axis = 1, keepdims = 0> (p)
            label = ai.onnx.ml.ArrayFeatureExtractor (classes, i)
        }""")
    model = ir.from_proto(proto)
    prepared = prepare(model, {})
    assert prepared.applied["expand_ml_operators"] == 4
    assert {node.domain for node in prepared.model.graph} == {""}
    feed = {"x": np.array([[0.2, 3, 1], [2, 2, 7]], np.float32)}
    truth, found = CpuModel(model).run(feed), CpuModel(prepared.model).run(feed)
    for name, expected in truth.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)
