"""What rests on an operator is found, and nothing else."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.behind import chosen_outputs, gives, names_behind

MODEL = ir.from_onnx_text(
    """<ir_version: 10, opset_import: ["" : 17]>
    agraph (float[1,9] x, int64[1] k, float[9,9] w) => (float[1,3] boxes, float[1,9] layer) {
        scores = Sigmoid(x)
        values, places = TopK(scores, k)
        boxes = Exp(values)
        layer = MatMul(scores, w)
    }"""
)


def test_what_rests_on_a_choice_is_found() -> None:
    assert names_behind(MODEL.graph, ("TopK",)) == {"values", "places", "boxes"}
    assert chosen_outputs(MODEL.graph) == ["boxes"]


def test_what_stands_behind_the_last_layer_is_found() -> None:
    boxes, layer = MODEL.graph.outputs
    assert gives(boxes, ("Sigmoid",))
    assert not gives(layer, ("Sigmoid",))
