"""Channels of very different range are told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from snapq.evaluation.channel_groups import GroupedOutputs, by_range, whole
from snapq.evaluation.sqnr import SqnrMeter

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


class Seen:
    """A meter that keeps the last outputs."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, np.ndarray]] = []

    def update(
        self, reference: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
    ) -> None:
        assert list(reference) == list(outputs)
        self.outputs.append(dict(outputs))


def test_outputs_stand_beside_the_groups_of_their_channels() -> None:
    boxes, scores = RANDOM.uniform(0, 640, (1, 4, 50)), RANDOM.uniform(0, 1, (1, 2, 50))
    reference = {"y": np.concatenate([boxes, scores], 1).astype(np.float32), "z": np.zeros(3)}
    seen = Seen()
    with GroupedOutputs(seen) as grouped:
        grouped.update(reference, reference)
    assert {name: array.shape for name, array in seen.outputs[0].items()} == {
        "y": (1, 6, 50),
        "y[:, 0:4]": (1, 4, 50),
        "y[:, 4:6]": (1, 2, 50),
        "z": (3,),
    }
    assert grouped.places["y[:, 4:6]"] == ("y", "[:, 4:6]")


def test_numbers_of_a_regression_are_told_apart_by_several_samples() -> None:
    meter = SqnrMeter()
    with GroupedOutputs(meter) as grouped:
        for _ in range(12):
            truth = (RANDOM.normal(size=(1, 3)) * (1000, 1, 0.001)).astype(np.float32)
            grouped.update({"y": truth}, {"y": np.round(truth)})
    values = meter.values()
    assert list(values) == ["y", "y[:, 0]", "y[:, 1]", "y[:, 2]"]
    assert values["y"] > 40
    assert values["y[:, 2]"] == pytest.approx(0)


def test_too_few_samples_for_groups_are_still_compared_as_a_whole() -> None:
    meter = SqnrMeter()
    with GroupedOutputs(meter) as grouped:
        grouped.update({"y": np.ones((1, 3), np.float32)}, {"y": np.zeros((1, 3), np.float32)})
    assert meter.values() == {"y": 0.0}


def test_rare_classes_of_one_decision_are_no_group() -> None:
    logits = RANDOM.normal(size=(1, 6, 8, 8)) - np.array([0, 0, 0, 0, 0, 12]).reshape(1, 6, 1, 1)
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert by_range([scores.astype(np.float32)]) == whole()
    assert len(by_range([(scores * 2).astype(np.float32)])) == 2


def test_channels_that_a_normalization_leaves_at_next_to_nothing_belong_to_no_group() -> None:
    output = RANDOM.uniform(0.5, 1, (1, 30, 6)).astype(np.float32)
    output[..., 2] *= 1e-7
    output[..., 4] = 1e-31
    assert [group.name for group in by_range([output])] == [""]
    output[..., 5] *= 100
    assert [group.name for group in by_range([output])] == ["[:, :, 0:2, 3]", "[:, :, 5]"]
