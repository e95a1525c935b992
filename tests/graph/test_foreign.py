"""The boundary around models of others: limits, crashes and what nobody foresaw are a sentence."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph import foreign, io
from snapq.limits import MEMORY_VARIABLE, TIME_VARIABLE
from snapq.stages.prepare import convert
from tests.graph.models import build

PLAIN = "(float[2,4] x, float[4,4] w) => (float[2,4] y) { a = MatMul(x, w) y = Relu(a) }"
LONG = """(float[2,4] x) => (float[2,4] y) {
    many = Constant<value = int64 {30000000}>()
    on = Constant<value = bool {1}>()
    y = Loop(many, on, x) <
        body = b (int64 i, bool c, float[2,4] u) => (bool d, float[2,4] v)
        { d = Identity(c) v = Neg(u) }> }"""


def test_what_takes_too_much_memory_is_named_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "1.5")
    text = """(float[2,4] x) => (float[2,4] y) {
        n = Constant<value = int64[3] {70000000, 2, 4}>()
        big = Expand(x, n)
        most = ReduceMax<keepdims = 0>(big)
        y = Add(x, most) }"""
    with pytest.raises(ModelError) as caught:
        convert(build(text), {}, tmp_path / "model.onnx")
    assert "too much memory" in caught.value.what
    assert "Expand 'big'" in str(caught.value.where)
    assert MEMORY_VARIABLE in str(caught.value.hint)


@pytest.mark.slow
def test_a_long_loop_is_named_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIME_VARIABLE, "1")
    with pytest.raises(ModelError) as caught:
        convert(build(LONG), {}, tmp_path / "model.onnx")
    assert "1 s of processor time" in caught.value.what
    assert "Loop" in str(caught.value.where)
    assert TIME_VARIABLE in str(caught.value.hint)


def test_a_crash_of_a_library_is_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"A library crashed on the model \(SIGFPE\)"):
        foreign.guarded(lambda: os.kill(os.getpid(), signal.SIGFPE), build(PLAIN))


def _fail_at(node: ir.Node) -> None:
    assert node.op_type == "MatMul"
    raise KeyError("nothing of that name")


def test_what_nobody_foresaw_names_the_node_and_leaves_the_traceback() -> None:
    model = build(PLAIN)
    with pytest.raises(ModelError) as caught:
        foreign.guarded(lambda: _fail_at(model.graph[0]), model)
    assert "MatMul 'a'" in str(caught.value.where)
    assert "KeyError: 'nothing of that name'" in caught.value.what
    assert any("_fail_at" in note for note in caught.value.__notes__)


def test_where_onnx_runtime_refuses_the_model_its_reason_is_told() -> None:
    model = build(PLAIN.replace("Relu(a)", "Relu(a, x)"))
    with pytest.raises(ModelError, match="input size 2 not in range"):
        foreign.guarded(lambda: _fail_at(model.graph[0]), model)


def test_what_comes_from_elsewhere_stays_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), foreign.explaining(build(PLAIN)):
        1 / 0  # noqa: B018  (in a test, and not in code for models)


def test_a_converted_model_is_the_one_that_preparing_gives(tmp_path: Path) -> None:
    from snapq.graph.prepare import prepare

    model = build(PLAIN)
    done = convert(model, {}, tmp_path / "model.onnx")
    assert io.serialized(io.load(tmp_path / "model.onnx")) == io.serialized(
        prepare(model, {}).model
    )
    assert done.nodes == 2
    assert not done.doubtful


def test_nodes_in_any_order_are_read(tmp_path: Path) -> None:
    model = build(PLAIN)
    first = model.graph[0]
    model.graph.remove(first)
    model.graph.append(first)
    (tmp_path / "given.onnx").write_bytes(ir.serde.serialize_model(model).SerializeToString())
    given = io.load(tmp_path / "given.onnx")
    assert convert(given, {}, tmp_path / "model.onnx").nodes == 2


def test_of_an_if_that_a_given_number_decides_the_branch_stays() -> None:
    model = build(
        """(float[2,3] x, int64 rate) => (float[2,3] y) <int64 wide = {16000}> {
        c = Equal (rate, wide)
        y = If <then_branch = t () => (float[2,3] a) { a = Relu (x) },
            else_branch = e () => (float[2,3] b) { b = Tanh (x) }> (c) }"""
    )
    for rate, left in ((16000, "Relu"), (8000, "Tanh")):
        operators = [node.op_type for node in foreign.freeze(model, {"rate": rate}).graph]
        assert left in operators
        assert "If" not in operators
    assert "If" in [node.op_type for node in foreign.freeze(model, {}).graph]
