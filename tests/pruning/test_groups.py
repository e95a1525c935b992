"""What belongs together, and why something cannot be cut."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.errors import ModelError
from snapq.pruning.groups import Group, Structure, find
from snapq.pruning.importance import magnitude
from snapq.pruning.prune import without
from tests.quantization.odd_models import Builder


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def made_by(structure: Structure, node: str) -> Group:
    return next(group for group in structure.groups if node in group.makers)


def test_a_residual_stream_is_one_group_with_all_its_makers() -> None:
    build = Builder()
    data = build.feed("x", 1, 3, 4, 4)
    first = build.add("Conv", data, build.normal(8, 3, 1, 1))
    inner = build.add("Relu", build.add("Conv", first, build.normal(6, 8, 1, 1)))
    total = build.add("Add", build.add("Conv", inner, build.normal(8, 6, 1, 1)), first)
    output = build.add("Conv", total, build.normal(2, 8, 1, 1))
    structure = find(build.model(output))
    assert [group.channels for group in structure.groups] == [8, 6]
    assert made_by(structure, "node_conv_0").makers == ("node_conv_0", "node_conv_3")


def test_the_parts_of_a_concatenation_are_cut_each_on_its_own() -> None:
    build = Builder()
    data = build.feed("x", 1, 3, 4, 4)
    parts = [build.add("Conv", data, build.normal(size, 3, 1, 1)) for size in (4, 6)]
    joined = build.add("Concat", *parts, axis=1)
    structure = find(build.model(build.add("Conv", joined, build.normal(2, 10, 1, 1))))
    assert [group.channels for group in structure.groups] == [4, 6]


@pytest.mark.parametrize("by_slices", [False, True])
def test_an_attention_head_is_cut_as_a_whole(by_slices: bool) -> None:
    build = Builder()
    heads, size, steps, width = 4, 3, 5, 7
    rows = build.feed("x", 1, steps, width)
    joint = build.add("MatMul", rows, build.normal(width, 3 * heads * size))
    parted = build.add("Reshape", joint, ints(1, steps, 3, heads, size))
    turned = build.add("Transpose", parted, perm=[2, 0, 3, 1, 4])

    def part(index: int) -> str:
        if not by_slices:
            return build.add("Gather", turned, np.array(index, np.int64), axis=0)
        single = build.add("Slice", turned, ints(index), ints(index + 1), ints(0))
        return build.add("Squeeze", single, ints(0))

    query, key, value = part(0), part(1), part(2)
    scores = build.add("MatMul", query, build.add("Transpose", key, perm=[0, 1, 3, 2]))
    mixed = build.add("MatMul", build.add("Softmax", scores, axis=-1), value)
    joined = build.add("Transpose", mixed, perm=[0, 2, 1, 3])
    flat = build.add("Reshape", joined, ints(1, steps, heads * size))
    structure = find(build.model(build.add("MatMul", flat, build.normal(heads * size, width))))
    (group,) = structure.groups
    assert (group.channels, group.width) == (heads, 3 * size)


def test_whole_groups_of_a_grouped_convolution_are_cut() -> None:
    build = Builder()
    data = build.feed("x", 1, 3, 4, 4)
    first = build.add("Conv", data, build.normal(8, 3, 1, 1))
    second = build.add("Conv", first, build.normal(8, 2, 1, 1), group=4)
    structure = find(build.model(build.add("Conv", second, build.normal(2, 8, 1, 1))))
    (group,) = structure.groups
    assert (group.channels, group.width) == (4, 2)


def test_what_cannot_be_cut_is_named_with_its_reason() -> None:
    build = Builder()
    rows = build.feed("x", 1, 5, 4)
    hidden = build.add("MatMul", rows, build.normal(4, 6))
    normal = build.add("LayerNormalization", hidden, build.normal(6), build.normal(6), axis=-1)
    odd = build.add("MatMul", normal, build.normal(6, 6))
    output = build.add(
        "MatMul", build.add("Einsum", odd, equation="...c->...c"), build.normal(6, 2)
    )
    reasons = {fixed.node: fixed.reason for fixed in find(build.model(output)).fixed}
    assert "LayerNormalization" in reasons["node_matmul_0"]
    assert "Einsum" in reasons["node_matmul_2"]
    assert "output of the model" in reasons["node_matmul_4"]


def test_a_node_that_is_to_keep_its_channels_keeps_them_also_where_others_make_them() -> None:
    build = Builder()
    first = build.add("Conv", build.feed("x", 1, 3, 4, 4), build.normal(8, 3, 1, 1))
    wise = build.add("Conv", first, build.normal(8, 1, 3, 3), group=8, pads=[1, 1, 1, 1])
    second = build.add("Conv", wise, build.normal(6, 8, 1, 1))
    structure = find(build.model(build.add("Conv", second, build.normal(2, 6, 1, 1))))
    rankings = magnitude(structure)
    assert [r.group.channels for r in without(structure, rankings, ())] == [8, 6]
    assert [r.group.channels for r in without(structure, rankings, ["node_conv_1"])] == [6]
    with pytest.raises(ModelError, match="Did you mean 'node_conv_1'"):
        without(structure, rankings, ["node_conv1"])
