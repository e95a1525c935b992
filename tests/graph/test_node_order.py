"""Nodes are sorted so that the last reader of a tensor comes first, and every model still runs."""

from __future__ import annotations

import numpy as np

from snapq.graph.node_order import last_reader_first
from snapq.graph.shapes import input_specs
from tests.graph.models import build, feeds_for, run

HEADS = """(float[2,8] x) => (float[2,8] a, float[2,8] b, float[2,8] c) {
    t = Relu(x) a = Sigmoid(t) u = Tanh(t) b = Neg(u) c = Add(t, b) }"""
BRANCHES = """(float[2,8] x, bool p) => (float[2,8] z) {
    t = Relu(x) u = Tanh(t)
    z = If (p) <then_branch = one () => (float[2,8] m) { m = Neg(u) },
                else_branch = other () => (float[2,8] n) { n = Sigmoid(t) }> }"""


def test_the_last_reader_comes_first_and_chains_stay_together():
    model = build(HEADS)
    last_reader_first(model.graph)
    assert [node.op_type for node in model.graph] == ["Relu", "Tanh", "Neg", "Add", "Sigmoid"]


def test_outputs_stay_where_branches_read_what_is_outside():
    for text in (HEADS, BRANCHES):
        model = build(text)
        feeds = feeds_for(input_specs(model))
        before = run(model, feeds)
        last_reader_first(model.graph)
        for truth, found in zip(before, run(model, feeds), strict=True):
            np.testing.assert_array_equal(truth, found)


def test_sorting_twice_changes_nothing_on_a_chain():
    model = build("(float[2,8] x) => (float[2,8] y) { a = Relu(x) b = Tanh(a) y = Neg(b) }")
    last_reader_first(model.graph)
    last_reader_first(model.graph)
    assert [node.op_type for node in model.graph] == ["Relu", "Tanh", "Neg"]
