"""Ids of 64 bits are fed with 32 where a model only looks rows up by them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.config import Io
from snapq.evaluation.samples import Sample
from snapq.graph import shapes
from snapq.graph.boundary import apply, only_looked_up, plan
from tests.graph.boundary.small_models import run

TEXT = """
<ir_version: 9, opset_import: ["" : 17]>
agraph (int64[1, 4] ids, int64[1, 4] mask) => (float[1, 4, 2] rows, {outputs})
<float[5, 2] table = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, int64[1] one = {{1}}>
{{
    rows = Gather(table, ids)
    {more}
}}
"""
COUNTED = ("int64[1, 4] next", "next = Add(mask, one)")
COMPUTED = ("int64[1, 4] next", "next = Add(ids, one)")
FEEDS = {"ids": np.array([[4, 0, 1, 4]]), "mask": np.array([[1, 1, 0, 0]])}


def _model(outputs: str, more: str) -> ir.Model:
    return ir.from_onnx_text(TEXT.format(outputs=outputs, more=more))


@pytest.mark.parametrize(("graph", "narrow"), [(COUNTED, {"ids"}), (COMPUTED, set())])
def test_only_what_is_looked_up_and_nothing_else_is_ids(
    graph: tuple[str, str], narrow: set[str]
) -> None:
    assert only_looked_up(_model(*graph)) == narrow


@pytest.mark.parametrize("prepared", [COUNTED, COMPUTED])
def test_fed_with_32_bits_a_model_gives_the_same_whatever_reads_its_ids_by_then(
    prepared: tuple[str, str],
) -> None:
    model = _model(*prepared)
    planned = plan(shapes.input_specs(model), Io(), {}, ids={"ids"})
    applied = apply(model, planned)
    assert [item.dtype for item in applied.boundary.inputs] == ["int32", "int64"]
    assert applied.model.graph.inputs[0].dtype is ir.DataType.INT32
    assert planned.changes_float_model
    found = run(applied.model, applied.boundary.package_feeds(Sample("0", FEEDS)))
    for name, truth in run(model, FEEDS).items():
        assert np.array_equal(found[name], truth)


def test_a_conversion_to_32_bits_is_left_out_as_nothing_may_be_computed_of_ids() -> None:
    text = TEXT.format(outputs=COUNTED[0], more=COUNTED[1])
    text = text.replace(
        "rows = Gather(table, ids)",
        """
        few = Cast<to: int = 6>(ids)
        rows = Gather(table, few)""",
    )
    model = ir.from_onnx_text(text)
    planned = plan(shapes.input_specs(model), Io(), {}, ids={"ids"})
    assert [node.op_type for node in apply(model, planned).model.graph] == ["Gather", "Add"]
