"""The metrics of classes, numbers, order and points agree with their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from snapq.errors import DataError
from snapq.evaluation.metrics import metric

RANDOM = np.random.default_rng(7)
CLASSES = RANDOM.integers(0, 4, 120)
SCORES = RANDOM.normal(size=(120, 4)).round(1) + np.eye(4)[CLASSES]


def _of(name: str, outputs: Sequence[np.ndarray], labels: Sequence[object]) -> float:
    found = metric(name)
    for output, label in zip(outputs, labels, strict=True):
        found.update({"y": np.asarray(output)}, label)
    assert found.samples == len(labels)
    return found.value()


def test_precision_recall_and_f1_are_means_over_classes() -> None:
    guess = SCORES.argmax(1)
    rates: dict[str, list[float]] = {"precision": [], "recall": [], "f1": []}
    for kind in range(4):
        both = sum(1 for g, c in zip(guess, CLASSES, strict=True) if g == c == kind)
        taken, there = sum(guess == kind), sum(kind == CLASSES)
        rates["precision"].append(both / taken)
        rates["recall"].append(both / there)
        rates["f1"].append(2 / (taken / both + there / both))
    for name, values in rates.items():
        assert _of(name, SCORES[:, None], CLASSES.tolist()) == pytest.approx(np.mean(values))
        as_numbers = _of(name, guess[:, None], CLASSES.tolist())
        assert as_numbers == pytest.approx(np.mean(values))


def test_of_one_probability_they_are_those_of_class_1() -> None:
    outputs = np.array([0.9, 0.5, 0.4, 0.2, 0.7]).reshape(5, 1, 1)
    labels = [1, 0, 1, 0, 1]
    assert _of("precision", outputs, labels) == pytest.approx(2 / 3)
    assert _of("recall", outputs, labels) == pytest.approx(2 / 3)
    assert _of("f1", outputs, labels) == pytest.approx(2 / 3)


def _chance_of_order(scores: np.ndarray, mine: np.ndarray) -> float:
    """How often a sample of the class is before one that is not; AUC by its meaning."""
    pairs = [np.sign(a - b) / 2 + 0.5 for a in scores[mine] for b in scores[~mine]]
    return float(np.mean(pairs))


def test_auc_is_the_chance_that_a_pair_is_in_order() -> None:
    wanted = [_chance_of_order(SCORES[:, kind], kind == CLASSES) for kind in range(4)]
    assert _of("auc", SCORES[:, None], CLASSES.tolist()) == pytest.approx(np.mean(wanted))
    binary = (CLASSES > 1).astype(int)
    wanted_one = _chance_of_order(SCORES[:, 2], binary == 1)
    assert _of("auc", SCORES[:, 2], binary.tolist()) == pytest.approx(wanted_one)
    two = np.stack([np.full(120, 0.5), SCORES[:, 2]], axis=1)[:, None]
    assert _of("auc", two, binary.tolist()) == pytest.approx(wanted_one)


def test_eer_is_where_both_errors_are_equal() -> None:
    scores, labels = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    assert _of("eer", [np.array(one) for one in scores], labels) == pytest.approx(0.5)
    assert _of("eer", [np.array(one) for one in (0.1, 0.2, 0.3, 0.4)], labels) == 0
    assert _of("eer", [np.array(0.3)] * 4, labels) == pytest.approx(0.5)


def test_errors_of_numbers() -> None:
    wanted = RANDOM.normal(size=(30, 3))
    found = wanted + RANDOM.normal(size=(30, 3)) / 4
    away = found - wanted
    assert _of("mae", found[:, None], list(wanted)) == pytest.approx(np.abs(away).mean())
    assert _of("rmse", found[:, None], list(wanted)) == pytest.approx(math.sqrt((away**2).mean()))
    explained = 1 - (away**2).sum(0) / ((wanted - wanted.mean(0)) ** 2).sum(0)
    assert _of("r2", found[:, None], list(wanted)) == pytest.approx(explained.mean())


def test_spearman_compares_ranks_of_a_score_or_of_the_cosine_of_two_embeddings() -> None:
    assert _of("spearman", [np.array(x) for x in (1.0, 10, 100)], [1.0, 2.0, 4.0]) == 1
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5, squares 4.5 and 5.
    tied = [np.array(x) for x in (0.0, 1.0, 1.0, 2.0)]
    assert _of("spearman", tied, [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    apart = metric("spearman")
    for angle, likeness in ((0.1, 3.0), (1.0, 2.0), (2.0, 1.0)):
        first, second = np.array([[1.0, 0]]), np.array([[math.cos(angle), math.sin(angle)]])
        apart.update({"a": first, "b": second}, np.float64(likeness))
    assert apart.value() == 1
    stacked = [np.array([[1.0, 0], [math.cos(a), math.sin(a)]]) for a in (0.1, 1.0, 2.0)]
    assert _of("spearman", stacked, [3, 2, 1]) == 1


def test_points_are_near_by_the_size_of_the_box_around_them() -> None:
    truth = np.array([[0.0, 0, 1], [100, 0, 1], [0, 50, 1], [3, 3, 0]])
    found = truth[:, :2] + [[0, 19], [21, 0], [3, 4], [500, 500]]
    assert _of("pck", [found[None]], [truth]) == pytest.approx(2 / 3)
    assert _of("nme", [found.reshape(1, 8)], [truth]) == pytest.approx(15 / math.sqrt(5000))
    deep = np.column_stack([found, [9, 9, 9, 9]])[None]
    assert _of("pck", [deep], [truth]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "output", "label", "words"),
    [
        ("f1", np.zeros((1, 3)), 3, "has 3 classes, and the label is 3"),
        ("f1", np.zeros((1, 3)), None, "the label is missing"),
        ("auc", np.zeros((1, 2)), 2, "has 2 classes"),
        ("mae", np.zeros((1, 2)), np.zeros(3), r"the label is of shape \[3\]"),
        ("r2", np.zeros((1, 2)), None, "the label is missing"),
        ("spearman", np.zeros((1, 1)), np.zeros(3), "needs a number"),
        ("pck", np.zeros((1, 4)), np.zeros(3), "needs points"),
        ("nme", np.zeros((1, 4)), np.zeros((3, 2)), "needs one output that is 3 points"),
    ],
)
def test_a_label_that_does_not_fit_is_told(
    name: str, output: np.ndarray, label: object, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        metric(name).update({"y": output}, label, "sample 3")


def test_a_metric_of_one_of_several_outputs_says_how_to_name_it() -> None:
    outputs = {"label": np.zeros(1, np.int64), "scores": np.zeros((1, 3)), "leaf": np.ones((1, 4))}
    with pytest.raises(DataError, match="needs one output") as caught:
        metric("top1").update(outputs, 2, "sample 3")
    assert "`metric: {label: top1}`" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["auc", "eer"])
def test_one_class_alone_has_no_order(name: str) -> None:
    with pytest.raises(DataError, match="all of one"):
        _of(name, [np.array(0.1), np.array(0.2)], [1, 1])
    with pytest.raises(DataError, match="no samples"):
        metric(name).value()


def test_too_little_to_compare_is_told() -> None:
    with pytest.raises(DataError, match="two samples"):
        _of("r2", [np.array(0.1)], [1])
    with pytest.raises(DataError, match="scores are all the same"):
        _of("spearman", [np.array(0.1), np.array(0.1)], [1, 2])
