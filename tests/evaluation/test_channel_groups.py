"""Channels of very different range are told apart."""

from __future__ import annotations

import numpy as np

from snapq.evaluation.channel_groups import GroupedOutputs, by_range, whole

RANDOM = np.random.default_rng(0)


def test_boxes_and_scores_of_either_layout_are_two_groups() -> None:
    boxes, scores = RANDOM.uniform(0, 640, (1, 4, 50)), RANDOM.uniform(0, 1, (1, 80, 50))
    output = np.concatenate([boxes, scores], 1).astype(np.float32)
    for array, axis in ((output, 1), (output.transpose(0, 2, 1), 2)):
        first, second = by_range([array])
        assert first.axis == second.axis == axis
        assert first.channels == (0, 1, 2, 3)
        np.testing.assert_array_equal(second.of(array).max(), scores.astype(np.float32).max())
    assert [group.name for group in by_range([output])] == ["[:, 0:4]", "[:, 4:84]"]


def test_channels_of_alike_range_and_few_values_are_one_group() -> None:
    assert by_range([RANDOM.normal(size=(1, 8, 20, 20)).astype(np.float32)]) == whole()
    assert by_range([RANDOM.normal(size=(1, 1000)).astype(np.float32)] * 4) == whole()
    assert by_range([RANDOM.integers(0, 1000, (1, 6, 50))]) == whole()


def test_channels_that_are_not_beside_each_other_share_a_group() -> None:
    output = RANDOM.uniform(0.5, 1, (1, 5, 30)).astype(np.float32)
    output[:, [1, 4]] *= 100
    output[:, 2] = 0
    assert [group.name for group in by_range([output])] == ["[:, 0, 3]", "[:, 1, 4]"]


def test_outputs_stand_beside_the_groups_of_their_channels() -> None:
    boxes, scores = RANDOM.uniform(0, 640, (1, 4, 50)), RANDOM.uniform(0, 1, (1, 2, 50))
    reference = {"y": np.concatenate([boxes, scores], 1).astype(np.float32), "z": np.zeros(3)}
    grouped = GroupedOutputs()
    found = grouped.split(reference, reference)
    assert {name: array.shape for name, array in found.items()} == {
        "y": (1, 6, 50),
        "y[:, 0:4]": (1, 4, 50),
        "y[:, 4:6]": (1, 2, 50),
        "z": (3,),
    }
    assert grouped.places["y[:, 4:6]"] == ("y", "[:, 4:6]")
    assert "y" not in grouped.split({"z": np.zeros(3)}, reference)


def test_channels_that_a_normalization_leaves_at_next_to_nothing_belong_to_no_group() -> None:
    output = RANDOM.uniform(0.5, 1, (1, 30, 6)).astype(np.float32)
    output[..., 2] *= 1e-7
    output[..., 4] = 1e-31
    assert [group.name for group in by_range([output])] == [""]
    output[..., 5] *= 100
    assert [group.name for group in by_range([output])] == ["[:, :, 0:2, 3]", "[:, :, 5]"]
