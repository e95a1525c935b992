"""Loops whose turns are known, and branches that data decides, written out for the NPU."""

from __future__ import annotations

import pytest

from tests.graph.models import prepared_from

COUNTED = """(float[4,3] x, float[1,5] h, float[3,5] w, float[5,5] w1)
    => (float[1,5] y, float[4,1,5] z)
    <int64 m = {100}, bool go = {1}, int64 one = {1}, int64 zero = {0}, int64 last = {4},
        int64[1] axes = {0}> {
    n, y, z = Loop <body = b (int64 i, bool c, int64 at, float[1,5] s)
        => (bool more, int64 next, float[1,5] out, float[1,5] kept) {
        row = Gather <axis = 0> (x, at) wide = Unsqueeze (row, axes)
        p = MatMul (wide, w) r = MatMul (s, w1) t = Add (p, r) out = Tanh (t)
        kept = Identity (out) next = Add (at, one) more = Less (next, last)
        }> (m, go, zero, h) }"""
"""A recurrent layer as TensorFlow's converter writes it: the condition counts in a state."""

LIMITED = """(float[2,3] x) => (float[2,3] y) <int64 m = {3}, bool go = {1}> {
    y = Loop <body = b (int64 i, bool c, float[2,3] s) => (bool c2, float[2,3] out) {
        f = Cast <to = 1> (i) out = Add (s, f) c2 = Identity (c) }> (m, go, x) }"""

NEVER = """(float[2,3] x) => (float[2,3] y) <int64 m = {0}, bool go = {1}> {
    z = Loop <body = b (int64 i, bool c, float[2,3] s) => (bool c2, float[2,3] out) {
        out = Exp (s) c2 = Identity (c) }> (m, go, x) y = Relu (z) }"""

INSIDE = """(float[2,3] x) => (float[2,3] y) <int64 m = {2}, bool go = {1}, float zero = {0}> {
    y = Loop <body = b (int64 i, bool c, float[2,3] s) => (bool c2, float[2,3] out) {
        top = ReduceMax <keepdims = 0> (s) q = Greater (top, zero)
        out = If <then_branch = t () => (float[2,3] a) { a = Neg (s) },
            else_branch = e () => (float[2,3] d) { d = Tanh (x) }> (q)
        c2 = Identity (c) }> (m, go, x) }"""

DATA = """(float[2,3] x, bool go) => (float[2,3] y) <int64 m = {3}> {
    y = Loop <body = b (int64 i, bool c, float[2,3] s) => (bool c2, float[2,3] out) {
        out = Relu (s) c2 = Identity (c) }> (m, go, x) }"""

SCAN = """(float[2,4,3] x, float[2,3] h) => (float[2,3] y, float[2,4,3] z) {
    y, z = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
        scan_input_directions = [1], scan_output_directions = [1],
        body = b (float[2,3] s, float[2,3] e) => (float[2,3] out, float[2,3] kept) {
        t = Mul (s, e) out = Tanh (t) kept = Identity (out) }> (h, x) }"""

BRANCHES = """(float[2,3] x, float[2,3] z) => (float[2,3] y, float u) {
    m = ReduceMax <keepdims = 0> (x) n = ReduceMax <keepdims = 0> (z) c = Greater (m, n)
    y, u = If <then_branch = t () => (float[2,3] a, float p) { a = Relu (x) p = Identity (m) },
        else_branch = e () => (float[2,3] b, float q) { b = Tanh (z) q = Neg (n) }> (c) }"""

OF_TWO_SHAPES = """(float[2,3] x, bool c) => (float[N,3] y) {
    y = If <then_branch = t () => (float[2,3] a) { a = Relu (x) },
        else_branch = e () => (float[4,3] b) { b = Concat <axis = 0> (x, x) }> (c) }"""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (COUNTED, "Tanh"),
        (LIMITED, "Add"),
        (NEVER, "Relu"),
        (SCAN, "Tanh"),
        (BRANCHES, "Where"),
        (INSIDE, "Where"),
    ],
    ids=["counted by a state", "limited", "never", "scan", "branches", "branches in a loop"],
)
def test_it_is_written_out_and_computes_the_same(text: str, left: str) -> None:
    _, operators = prepared_from(text, opset=18)
    assert left in operators
    assert not {"Loop", "Scan", "If"} & {*operators}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [(DATA, "unroll_loops", "depends on the data"), (OF_TWO_SHAPES, "select_branches", "shapes")],
    ids=["a loop that data ends", "branches of two shapes"],
)
def test_what_only_data_decides_is_left_alone(text: str, name: str, reason: str) -> None:
    prepared, _ = prepared_from(text, opset=18)
    (found,) = [item for item in prepared.skipped if item.pass_name == name]
    assert reason in found.reason


@pytest.mark.parametrize("lengths", ["{5, 5}", "{3, 3}", "{2, 5}"])
@pytest.mark.parametrize("axes", ["time_axis = 0, batch_axis = 1", "time_axis = 1, batch_axis = 0"])
def test_sequences_are_turned_round_by_moves(lengths: str, axes: str) -> None:
    shape = "5,2,3" if "time_axis = 0" in axes else "2,5,3"
    _, operators = prepared_from(
        f"(float[{shape}] x) => (float[{shape}] y) <int64[2] n = {lengths}> {{"
        f" y = ReverseSequence <{axes}> (x, n) }}"
    )
    assert "ReverseSequence" not in operators
