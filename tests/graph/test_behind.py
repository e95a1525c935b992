"""What rests on the choice of an operator is found, and nothing else."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.behind import names_behind


def test_what_rests_on_a_choice_is_found() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 17]>
        agraph (float[1,9] x, int64[1] k) => (float[1,3] boxes, float[1,9] scores) {
            scores = Sigmoid(x)
            values, places = TopK(scores, k)
            boxes = Exp(values)
        }"""
    )
    assert names_behind(model.graph, ("TopK",)) == {"values", "places", "boxes"}
