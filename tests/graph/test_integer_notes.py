"""What is told of whole numbers that the NPU computes otherwise."""

import pytest

from tests.graph.models import prepared_from

TOLD = {
    "sums of two fed numbers": (
        "(int32[4] x, int32[4] z) => (int32[4] y) { y = Add(x, z) }",
        "y (Add)",
        "stop at 2,147,483,647",
    ),
    "products": (
        "(int32[4] x) => (int32[4] y) <int32 c = {4}> { y = Mul(x, c) }",
        "y (Mul)",
        "stop at 2,147,483,647",
    ),
    "fed numbers of 64 bits": (
        "(int64[4] x) => (int64[4] y) <int64 one = {1}> { y = Add(x, one) }",
        "y (Add)",
        "int64 in 32 bits",
    ),
    "constants of more than 32 bits": (
        "(float[4] x) => (int64[4] y) <int64 c = {1099511627776}> {"
        " i = Cast <to = 7> (x) y = Max(i, c) }",
        "y (Max)",
        "int64 in 32 bits",
    ),
    "sums over many numbers": (
        "(int32[4,9] x) => (int32[4] y) <int64[1] axes = {1}> {"
        " y = ReduceSum <keepdims = 0> (x, axes) }",
        "y (ReduceSum)",
        "up to 16,777,216",
    ),
    "places of the largest": (
        "(int32[4,9] x) => (int64[4] y) { y = ArgMax <axis = 1, keepdims = 0> (x) }",
        "y (ArgMax)",
        "up to 16,777,216",
    ),
}
LEFT_ALONE = {
    "places of maxima": """(float[2,5] x) => (int64[2] y) <int64 c = {1000}> {
        i = ArgMax <axis = 1, keepdims = 0> (x) y = Mul(i, c) }""",
    "rows that are picked": """(int64[3] i, float[9,4] x) => (float[3,4] y) { y = Gather(x, i) }""",
    "truths that are summed up": """(float[4,9] x) => (int32[4] y) <int64[1] axes = {1}> {
        z = Sub(x, x) m = Less(x, z) i = Cast <to = 6> (m) y = ReduceSum <keepdims = 0> (i, axes)
        }""",
    "a mask of 64 bits": """(int64[2,4] m) => (float[2,4] y) { y = Cast <to = 1> (m) }""",
    "numbers within bounds": """(int32[4] x) => (int32[4] y) <int32 low = {0}, int32 high = {99}> {
        i = Clip(x, low, high) y = Mul(i, i) }""",
    "floats": """(float[4,9] x) => (float[4] y) <int64[1] axes = {1}> {
        y = ReduceSum <keepdims = 0> (x, axes) }""",
}


@pytest.mark.parametrize("case", TOLD)
def test_it_is_told_with_the_node(case):
    text, node, words = TOLD[case]
    (note,) = prepared_from(text)[0].notes
    assert node in note
    assert words in note


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_nothing_is_told_of_numbers_that_stay_small(case):
    assert prepared_from(LEFT_ALONE[case])[0].notes == ()


def test_many_nodes_are_counted():
    made = (f"c{i} = Constant <value_int = {i + 4}> () y{i} = Mul(x, c{i})" for i in range(7))
    outputs = ", ".join(f"int64[4] y{i}" for i in range(7))
    prepared, _ = prepared_from(f"(int64[4] x) => ({outputs}) {{ {' '.join(made)} }}")
    assert prepared.notes[0].count("(Mul)") == 5
    assert "and 2 more" in prepared.notes[0]
