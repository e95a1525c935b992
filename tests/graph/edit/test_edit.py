"""The editing kit: names that are new, constants, and values that take the place of others."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.graph.edit import Editor, Names, constant_operand, new_constant, reduced_axes
from tests.graph.models import assert_same_results, build

BRANCHES = """(float[2,8] x, bool p) => (float[2,8] z) {
    z = If (p) <then_branch = one () => (float[2,8] inner) { inner = Neg(x) },
                else_branch = other () => (float[2,8] n) { n = Sigmoid(x) }> }"""


def test_a_new_name_is_in_no_graph_inside_either() -> None:
    names = Names(build(BRANCHES).graph)
    assert [names.unique(name) for name in ("inner", "x", "new", "new")] == [
        "inner_2",
        "x_2",
        "new",
        "new_2",
    ]


def test_a_new_name_is_free_with_all_its_suffixes() -> None:
    names = Names(build("(float[2] x) => (float[2] a_low) { a_low = Relu(x) }").graph)
    assert names.fresh("a", also=("", "_low")) == "a_2"


def test_a_constant_takes_the_first_free_name() -> None:
    graph = build("(float[2] x) => (float[2] y) { y = Relu(x) }").graph
    added = new_constant(graph, "x", np.ones(3, np.float32))
    assert added.name == "x_2"
    assert graph.initializers["x_2"] is added
    np.testing.assert_array_equal(added.const_value.numpy(), np.ones(3))


def test_empty_inputs_are_left_out_at_the_end_alone() -> None:
    model = build("(float[2] x) => (float[2] y) { y = Relu(x) }")
    edit = Editor(model.graph)
    edit.begin(model.graph[0])
    x = model.graph.inputs[0]
    inputs = [edit.op("Clip", *given).producer().inputs for given in ((x, None, x), (x, None))]
    assert inputs == [(x, None, x), (x,)]


def test_what_replaces_a_graph_output_has_its_name() -> None:
    model = build("(float[2] x) => (float[2] y) { y = Relu(x) }")
    edit = Editor(model.graph)
    edit.begin(model.graph[0])
    made = edit.op("Clip", model.graph.inputs[0], np.float32(0))
    edit.replace(model.graph.outputs[0], made)
    assert [value.name for value in model.graph.outputs] == ["y"]
    edit.remove_if_dead(model.graph[-1])
    assert [node.op_type for node in model.graph] == ["Clip"]
    assert_same_results(build("(float[2] x) => (float[2] y) { y = Relu(x) }"), model)


def test_an_input_that_becomes_an_output_is_handed_on_by_an_identity() -> None:
    model = build("(float[2] x) => (float[2] y) { y = Relu(x) }")
    edit = Editor(model.graph)
    edit.begin(model.graph[0])
    edit.replace(model.graph.outputs[0], model.graph.inputs[0])
    (output,) = model.graph.outputs
    maker = output.producer()
    assert maker is not None
    assert (output.name, maker.op_type) == ("y", "Identity")


def test_a_shared_constant_is_not_changed_under_the_other_node() -> None:
    graph = build(
        """(float[1,8] x, float[8,8] w) => (float[1,8] y, float[1,8] z) {
            y = MatMul(x, w) z = MatMul(y, w) }"""
    ).graph
    shared = graph[1].inputs[1]
    Editor(graph).set_constant(graph[0], 1, np.zeros((8, 8), np.float32))
    assert graph[1].inputs[1] is shared
    assert graph[0].inputs[1] is not shared


@pytest.mark.parametrize(("text", "axes"), [("[1, -1]", (1, 2)), ("[]", (0, 1, 2))])
def test_reduced_axes_are_positive_and_sorted(text: str, axes: tuple[int, ...]) -> None:
    graph = build(
        f"(float[2,3,4] x) => (float y) <int64[{0 if text == '[]' else 2}] a = "
        f"{text.replace('[', '{').replace(']', '}')}> {{ y = ReduceMean(x, a) }}",
        opset=18,
    ).graph
    assert reduced_axes(graph[0]) == axes


def test_a_constant_operand_is_found_on_either_side() -> None:
    graph = build("(float[2] x, float[2] w) => (float[2] y) { y = Sub(w, x) }").graph
    found = constant_operand(graph[0])
    assert found is not None
    assert found[0] is graph.inputs[0]
