"""The proposed cut keeps most work in front of what is refused, and hands few tensors over."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from snapq.graph.cutting import propose
from snapq.graph.cutting.values import named_tensors
from snapq.graph.shapes import freeze
from tests.graph.cutting.detectors import CUT, detector
from tests.graph.models import build


def proposed(model: ir.Model, *refused: str) -> tuple[str, ...] | None:
    found = propose(freeze(model, {}), refused, named_tensors(model))
    return None if found is None else found.outputs


def test_a_detector_is_cut_in_front_of_its_suppression() -> None:
    model = ir.serde.deserialize_model(detector())
    found = propose(freeze(model, {}), (), named_tensors(model))
    assert found is not None
    assert set(found.outputs) == set(CUT)
    assert found.macs == pytest.approx(1, abs=0.01)


def test_many_slices_of_one_tensor_are_handed_over_as_that_tensor() -> None:
    slices = " ".join(f"s{i} = Gather<axis=1>(a, i{i})  n{i} = NonZero(s{i})" for i in range(8))
    indices = " ".join(f"i{i} = Constant<value_int={i}>()" for i in range(8))
    outputs = ", ".join(f"int64[2, k{i}] n{i}" for i in range(8))
    model = build(
        f"(float[1, 8, 16, 16] x, float[8, 8, 3, 3] w) => ({outputs}) "
        f"{{ {indices} c = Conv(x, w) a = Relu(c) {slices} }}"
    )
    assert proposed(model) == ("a",)


def test_nothing_is_proposed_where_all_runs_or_nothing_would_stay() -> None:
    model = build(
        "(float[1, 4, 8, 8] x, float[4, 4, 3, 3] w) => (float[1, 4, 6, 6] y) "
        "{ c = Conv(x, w)  y = Relu(c) }"
    )
    assert proposed(model) is None
    conv = next(str(node.name) for node in model.graph if node.op_type == "Conv") or ""
    model.graph[0].name = conv or "conv"
    assert proposed(model, str(model.graph[0].name)) is None
