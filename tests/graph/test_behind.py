"""What rests on an operator is found, and nothing else."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from snapq.graph.behind import chosen_outputs, gives, names_behind, unsteady_outputs
from snapq.graph.inference import infer_shapes

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


@pytest.mark.parametrize(
    ("nodes", "chosen"),
    [
        ("i = ArgMax <axis = 1, keepdims = 0> (x) y = Gather (z, i)", ["y"]),
        ("i = ArgMax <axis = 1, keepdims = 0> (x) y = Cast <to = 1> (i)", []),
        ("i = ArgMax <axis = 1> (x) a = Cast <to = 1> (i) y = Transpose (a)", []),
        ("i = ArgMax <axis = 1, keepdims = 0> (t) y = Gather (z, i)", []),
    ],
)
def test_what_rests_on_places_of_computed_maxima_is_chosen(nodes: str, chosen: list[str]) -> None:
    proto = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["": 18]>
        best (float[2, 5] x, int64[2, 5] t, float[5, 3] z) => (float[A, B] y) {{ {nodes} }}""")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    model = ir.from_proto(proto)
    infer_shapes(model)
    assert unsteady_outputs(model.graph) == chosen
