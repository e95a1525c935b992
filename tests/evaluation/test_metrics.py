"""Metrics agree with their definitions, written down here a second time and slowly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snapq.errors import ConfigError, DataError
from snapq.evaluation.metrics import metric
from snapq.metric_table import drop

SCORES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(6, 9)), elements=st.integers(-3, 3)
)


@given(SCORES, st.data())
def test_top_k_is_the_share_of_labels_among_the_k_best(
    scores: np.ndarray, data: st.DataObject
) -> None:
    classes = scores.shape[1]
    labels = [data.draw(st.integers(0, classes - 1)) for _ in scores]
    for name, k in (("top1", 1), ("top5", 5)):
        found = metric(name)
        for row, label in zip(scores, labels, strict=True):
            found.update({"y": row[None]}, label)
        best = [sorted(range(classes), key=lambda c, row=row: (-row[c], c))[:k] for row in scores]
        wanted = [label in row for row, label in zip(best, labels, strict=True)]
        assert found.value() == pytest.approx(sum(wanted) / len(wanted))
        assert found.samples == len(scores)


def test_a_score_that_is_not_a_number_is_never_right() -> None:
    found = metric("top1")
    found.update({"y": np.array([[np.nan, np.nan]])}, 0)
    assert found.value() == 0


def test_top1_takes_a_class_number_as_output_and_the_one_output_that_fits() -> None:
    found = metric("top1")
    found.update({"boxes": np.zeros((1, 4, 4)), "class": np.array([[3]])}, 3)
    assert found.value() == 1


@given(
    st.integers(2, 5),
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans()), min_size=1, max_size=3),
)
def test_mean_iou_counts_pixels_over_all_samples(
    classes: int, seeds: list[tuple[int, bool]]
) -> None:
    found = metric("miou")
    truth, guess = [], []
    for seed, channels_last in seeds:
        generator = np.random.default_rng(seed)
        scores = generator.normal(size=(1, classes, 6, 7))
        mask = generator.integers(0, classes + 1, (6, 7)).astype(np.uint8)
        mask[mask == classes] = 255
        found.update({"y": scores.transpose(0, 2, 3, 1) if channels_last else scores}, mask)
        truth += mask.ravel().tolist()
        guess += scores[0].argmax(0).ravel().tolist()
    pairs = [(t, g) for t, g in zip(truth, guess, strict=True) if t != 255]
    if not pairs:
        return
    shares = []
    for c in range(classes):
        both = sum(t == c and g == c for t, g in pairs)
        either = sum(t == c or g == c for t, g in pairs)
        shares += [both / either] if either else []
    assert found.value() == pytest.approx(sum(shares) / len(shares))


def test_mean_iou_enlarges_a_small_prediction_and_takes_class_numbers() -> None:
    small = np.array([[[0, 1], [1, 0]]])
    mask = np.kron(small[0], np.ones((3, 3), int))
    found = metric("miou")
    found.update({"y": small}, mask)
    assert found.value() == 1
    with pytest.raises(DataError, match="5 x 6"):
        found.update({"y": small}, mask[:5])
    with pytest.raises(DataError, match="class numbers of 0 to 7"):
        found.update({"y": np.zeros((1, 2, 3, 3))}, np.full((3, 3), 7) * np.eye(3, dtype=int))


@given(hnp.arrays(np.uint8, (1, 3, 4)), hnp.arrays(np.uint8, (1, 3, 4)))
def test_psnr_follows_its_definition(output: np.ndarray, target: np.ndarray) -> None:
    squares = [(int(a) - int(b)) ** 2 for a, b in zip(output.flat, target.flat, strict=True)]
    error = sum(squares) / len(squares)
    wanted = 10 * math.log10(255**2 / error) if error else 200
    bytes_ = metric("psnr")
    bytes_.update({"y": output.astype(np.float32)}, target)
    assert bytes_.value() == pytest.approx(wanted)
    reals = metric("psnr")
    reals.update({"y": output / 255}, target / 255)
    assert reals.value() == pytest.approx(wanted, abs=1e-6)


def test_a_function_of_the_users_is_averaged(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def error(outputs, label):\n    return abs(outputs['y'].sum() - label)\n"
        "def wrong(outputs, label):\n    return 'good'\n"
        "def fails(outputs, label):\n    return outputs['z']\n"
    )
    found = metric("mine:error", tmp_path)
    found.update({"y": np.array([1.0, 2.0])}, 5)
    found.update({"y": np.array([1.0, 2.0])}, 3)
    assert found.value() == 1
    assert found.name == "mine:error"
    with pytest.raises(DataError, match="'good'"):
        metric("mine:wrong", tmp_path).update({}, 0)
    with pytest.raises(DataError, match="KeyError") as caught:
        metric("mine:fails", tmp_path).update({}, 0)
    assert caught.value.where == f"{tmp_path / 'mine.py'}:6"


@pytest.mark.parametrize(
    ("name", "outputs", "label", "words"),
    [
        ("top1", {"y": np.zeros((1, 10))}, 10, "the label is 10"),
        ("top1", {"y": np.zeros((1, 10))}, None, "missing"),
        ("top1", {"y": np.zeros((1, 10))}, np.zeros(3), "an array \\[3\\] of float64"),
        ("top5", {"y": np.zeros((1, 4))}, 1, "too few"),
        ("top1", {"y": np.zeros((1, 10)), "z": np.zeros((1, 2))}, 1, "one output"),
        ("top1", {"y": np.zeros((1, 3, 8, 8))}, 1, "one output"),
        ("miou", {"y": np.zeros((1, 3, 8, 8))}, 1, "not a mask"),
        ("miou", {"y": np.zeros((1, 1, 8, 8))}, np.zeros((8, 8), int), "no class"),
        ("psnr", {"y": np.zeros((1, 3))}, np.zeros((1, 4)), "of shape"),
        ("psnr", {"y": np.zeros((1, 3))}, np.full((1, 3), 40.0), "peak"),
        ("psnr", {"y": np.full((1, 3), np.nan)}, np.zeros((1, 3)), "not finite"),
    ],
)
def test_a_label_that_does_not_fit_is_refused_with_its_sample(
    name: str, outputs: dict[str, np.ndarray], label: object, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        metric(name).update(outputs, label, "cat.jpg")  # type: ignore[arg-type]
    assert caught.value.hint
    assert caught.value.where in ("cat.jpg", "metric")


def test_an_unknown_metric_offers_the_nearest_and_no_samples_are_no_result() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'top1'"):
        metric("top-1")
    for name in ("top1", "miou", "psnr"):
        with pytest.raises(DataError):
            metric(name).value()


class Middle:
    """A metric of a user's that cannot be a mean over samples: the median of what it sees."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def update(self, outputs: dict[str, np.ndarray], label: float) -> None:
        self.seen.append(float(outputs["y"].item()) - label)

    def compute(self) -> float:
        return float(np.median(self.seen))


def test_a_users_class_sees_all_samples_before_it_gives_its_number() -> None:
    first, second = metric(f"{__name__}:Middle"), metric(f"{__name__}:Middle")
    for value in (1.0, 2.0, 9.0):
        first.update({"y": np.array([value])}, 0)
    assert (first.value(), first.samples) == (2.0, 3)
    with pytest.raises(DataError, match="no samples"):
        second.value()


class Unfinished:
    """Lacks `compute`."""

    def update(self, *_: object) -> None:
        raise AssertionError


def test_a_users_class_without_compute_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="has no `compute`") as caught:
        metric(f"{__name__}:Unfinished")
    assert caught.value.where == f"{__name__}:Unfinished"


def test_an_error_that_grows_is_a_drop() -> None:
    assert drop("top1", 0.9, 0.8) == pytest.approx(0.1)
    assert drop("top1 of logits", 0.9, 0.8) == pytest.approx(0.1)
    assert drop("mine:metric", 0.9, 0.8) == pytest.approx(0.1)
