from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from snapq.graph.prepare import prepare
from snapq.precision import ActivationType
from snapq.quantization.analysis.fidelity import layer_outputs
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds


def test_what_is_moved_and_then_gets_another_type_is_no_layer_of_its_own() -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"], "bend"),
        helper.make_node("Transpose", ["s"], ["moved"], "move", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["moved", "w"], ["y"], "conv"),
    ]
    model = ir.from_proto(
        helper.make_model(
            helper.make_graph(
                nodes,
                "two",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2, 2, 3))],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, 2, 2))],
                [numpy_helper.from_array(weights, "w")],
            ),
            opset_imports=[helper.make_opsetid("", 21)],
            ir_version=10,
        )
    )
    model = prepare(model, {}).model
    sample = {"x": np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 2, 2, 3)}
    wide = Scheme(per_node={"conv": NodePrecision(activations=ActivationType.UINT16)})
    for scheme, found in ((Scheme(), ["s", "moved", "y"]), (wide, ["s", "y"])):
        quantized = quantize(model, [sample], scheme).model
        assert [one.tensor for one in layer_outputs(model, quantized)] == found


def test_what_is_transposed_for_a_product_is_no_layer_of_its_own() -> None:
    b = Builder()
    x = b.add("Relu", b.feed("x", 1, 6, 8))
    turned = b.add("Transpose", x, perm=[0, 2, 1])
    model = b.model(b.add("MatMul", x, turned), b.add("Sigmoid", turned))
    quantized = quantize(model, feeds(model, 1), Scheme()).model
    names = {one.tensor for one in layer_outputs(model, quantized)}
    assert turned not in names
    assert x in names
