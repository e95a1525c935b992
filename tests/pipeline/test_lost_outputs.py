"""A lost output is told, with what to do; what only looks like one is not."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from snapq.evaluation.fidelity import OutputFidelity
from snapq.pipeline.evidence.lost import what_is_lost

MODEL = """<ir_version: 10, opset_import: ["" : 17]>
    agraph (float[1,9] x, int64[1] k) => (float[1,9] plain, float[1,9] scores, float[1,3] rows) {
        plain = Exp(x)
        scores = Sigmoid(x)
        rows, places = TopK(scores, k)
    }"""


def lost(
    output: str, channels: str, largest: float, left: str = "3.0 dB", *, changed: bool = False
) -> tuple[dict[str, str], tuple[str, ...]]:
    name = f"{output}{channels}"
    one = OutputFidelity(name, 3.0, 1.0, 0.5, None, 8, left, 0.0, largest)
    places, package = {name: (output, channels)}, ("w8a8", "qcs9075")
    return what_is_lost([one], places, lambda: ir.from_onnx_text(MODEL), package, changed=changed)


@pytest.mark.parametrize(("output", "largest"), [("plain", 0.001), ("scores", 0.5)])
def test_what_is_lost_is_named_with_what_is_left_of_what(output: str, largest: float) -> None:
    found, (note,) = lost(output, "[:, 0:2]", largest)
    assert found == {f"{output}[:, 0:2]": "3.0 dB"}
    assert f"'{output}[:, 0:2]' at w8a8 on qcs9075 is lost: 3.0 dB are left of values" in note


def test_scores_of_what_does_not_occur_are_not_lost() -> None:
    assert lost("scores", "[:, 3]", 0.001) == ({}, ())


def test_rows_in_a_computed_order_are_told_instead() -> None:
    found, (note,) = lost("rows", "", 0.5)
    assert found == {}
    assert "cut the model in front" in note


def test_a_pruned_network_may_be_far_from_the_given_one_but_not_of_one_value() -> None:
    assert lost("plain", "", 1.0, changed=True) == ({}, ())
    found, (note,) = lost("plain", "", 1.0, "one value", changed=True)
    assert found == {"plain": "one value"}
    assert "one value is left of values from 0 to 1" in note
