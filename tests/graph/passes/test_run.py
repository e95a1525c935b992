"""The order of the passes, what is asked of each, and what they say of nodes left alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace

import onnx_ir as ir
import pytest

from snapq.errors import ConfigError, ModelError
from snapq.graph.edit import Editor
from snapq.graph.passes import order
from snapq.graph.passes.base import Pass
from snapq.graph.passes.run import all_passes
from snapq.graph.prepare import prepare
from tests.graph.models import build, prepared_from
from tests.graph.passes.cases import Case

FOLDERS = ("simplify", "fuse", "fold", "lower", "npu_speed", "npu_workarounds")
SILU = "(float[2,8] x) => (float[2,8] y) { a = Sigmoid(x) y = Mul(a, x) }"


def _cases() -> Iterator[Case]:
    for folder in FOLDERS:
        yield from importlib.import_module(f"tests.graph.passes.test_{folder}").CASES


def test_every_pass_has_a_case_on_which_it_does_the_work() -> None:
    assert {case.by for case in _cases() if case.applies} == {item.name for item in all_passes()}


def test_every_pass_has_one_place_and_a_reason_for_it() -> None:
    places = [place for passes in order.ORDER.values() for place in passes]
    assert len(places) == len(set(places)) == len(all_passes()) > 50
    assert all(reason for passes in order.ORDER.values() for reason in passes.values())


@pytest.mark.parametrize("item", all_passes(), ids=lambda item: item.name)
def test_a_pass_has_a_summary_of_one_line_and_a_numbered_contract(item: Pass) -> None:
    contract = importlib.import_module(item.apply.__module__).__doc__ or ""
    summary = contract.partition("\n")[0]
    assert summary.endswith(".")
    assert len(summary) < 100
    assert "\n1. " in contract


@pytest.mark.parametrize("name", ["fuse_swish"])
def test_a_pass_that_is_skipped_does_not_apply(name: str) -> None:
    prepared = prepare(build(SILU), {}, skip=[name])
    assert [node.op_type for node in prepared.model.graph] == ["Sigmoid", "Mul"]


@pytest.mark.parametrize("old", order.OLD_NAMES)
def test_names_of_version_0_1_can_be_skipped(old: str) -> None:
    prepare(build(SILU), {}, skip=[old])


def test_an_unknown_name_to_skip_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'fuse_gelu'"):
        prepare(build(SILU), {}, skip=["fuse_geluu"])


@pytest.mark.parametrize(
    ("name", "text", "node", "reason"),
    [
        (
            "fold_into_next",
            """(float[1,4,6,6] x, float[8,4,3,3] w, float[4,1,1] w1) => (float[1,8,6,6] y) {
                b = Add(x, w1) y = Conv <pads = [1,1,1,1]> (b, w) }""",
            "Conv_y",
            "pads with zeros",
        ),
        (
            "fold_batch_norm",
            """(float[1,4,6,6] x, float[4] w, float[4] w1, float[4] w2, float[4] w_positive)
                => (float[1,4,6,6] y) {
                a = Sin(x) b = BatchNormalization(a, w, w1, w2, w_positive) y = Relu(b) }""",
            "BatchNormalization_b",
            "no layer",
        ),
        (
            "unroll_recurrent",
            """(float[30,3,4] x, float[1,20,4] w, float[1,20,5] w1) => (float[1,3,5] y) {
                all, y = LSTM <hidden_size = 5> (x, w, w1) }""",
            "LSTM_all",
            "30 steps",
        ),
        (
            "reduce_rank",
            """(float[2,3,2,3,2,3] x, float[2,1,2,1,2,1] z) => (float[2,3,2,3,2,3] y) {
                y = Add(x, z) }""",
            "Add_y",
            "cannot be merged to 5",
        ),
    ],
    ids=lambda item: item if isinstance(item, str) and "_" in item and " " not in item else "",
)
def test_a_near_match_says_why_it_was_left_alone(
    name: str, text: str, node: str, reason: str
) -> None:
    prepared, _ = prepared_from(text)
    found = [item for item in prepared.skipped if item.pass_name == name]
    assert [item.node for item in found] == [node]
    assert reason in found[0].reason


def test_a_pass_that_changes_an_outputs_shape_is_refused_by_name() -> None:
    def flatten(node: ir.Node, edit: Editor) -> bool:
        wrong = edit.op("Flatten", node.inputs[0])
        wrong.shape = ir.Shape((1, 16))
        edit.replace(node.outputs[0], wrong)
        return True

    graph = build("(float[2,8] x) => (float[2,8] y) { y = Relu(x) }").graph
    broken = replace(all_passes()[0], name="broken", operators=("Relu",), apply=flatten)
    with pytest.raises(ModelError, match=r"broken did not keep .*skip: \[broken\]"):
        broken(graph[0], Editor(graph))
