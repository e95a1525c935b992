"""mAP is COCO's: pycocotools, on the same boxes, gives the same number."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from snapq.errors import DataError
from snapq.evaluation.metrics import metric
from snapq.evaluation.scores.boxes import detections, overlap

Picture = tuple[np.ndarray, np.ndarray]
"""Objects [N, 6] (x1, y1, x2, y2, class, crowd) and detections [M, 6] (box, score, class)."""


def _pictures(seed: int) -> list[Picture]:
    """Random pictures with crowds, double and missing detections, and equal scores."""
    random = np.random.default_rng(seed)
    classes = int(random.integers(1, 4))

    def picture() -> Picture:
        count = random.integers(0, 8)
        corner = random.integers(0, 50, (count, 2))
        kinds = random.integers(0, classes, count)
        crowd = random.random(count) < 0.2
        boxes = np.hstack([corner, corner + random.integers(1, 50, (count, 2))]).astype(float)
        chosen = np.repeat(np.arange(count), random.integers(0, 3, count))
        found = boxes[chosen] + random.integers(-3, 4, (len(chosen), 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        guess = np.where(random.random(len(chosen)) < 0.8, kinds[chosen], 0)
        scores = random.random(len(chosen)).round(1)
        truth = np.column_stack([boxes, kinds, crowd])
        return truth, np.column_stack([found, scores, guess])

    return [picture() for _ in range(random.integers(2, 12))]


def _by_pycocotools(pictures: list[Picture]) -> tuple[float, float]:
    """mAP over IoU 0.5 to 0.95, and at 0.5."""

    def corner_and_size(box: np.ndarray) -> list[float]:
        return [*box[:2].tolist(), *(box[2:4] - box[:2]).tolist()]

    annotations: list[dict[str, Any]] = []
    for index, (truth, _) in enumerate(pictures):
        for row in truth:
            box = corner_and_size(row)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": index, "category_id": int(row[4])}
                | {"bbox": box, "area": box[2] * box[3], "iscrowd": int(row[5])}
            )
    results = [
        {"image_id": index, "category_id": int(row[5]), "score": row[4]}
        | {"bbox": corner_and_size(row)}
        for index, (_, found) in enumerate(pictures)
        for row in found
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": index} for index in range(len(pictures))],
            "categories": [{"id": index} for index in range(4)],
            "annotations": annotations,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


@pytest.mark.parametrize("seed", range(12))
def test_map_is_what_pycocotools_computes(seed: int) -> None:
    pictures = _pictures(seed)
    found = metric("map"), metric("map50")
    for truth, detected in pictures:
        for one in found:
            one.update({"y": detected[None]}, truth)
    assert [one.value() for one in found] == pytest.approx(_by_pycocotools(pictures), abs=1e-12)


def test_three_outputs_one_output_and_a_yolo_head_say_the_same() -> None:
    boxes = np.array([[10.0, 10, 30, 40], [50, 50, 80, 60]], np.float32)
    scores, classes = np.array([0.9, 0.6], np.float32), np.array([1, 0])
    rows = np.column_stack([boxes, scores, classes]).astype(np.float32)[None]
    head = np.zeros((1, 7, 40), np.float32)
    head[0, :2, :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    head[0, 2:4, :2] = (boxes[:, 2:] - boxes[:, :2]).T
    head[0, 5, 0], head[0, 4, 1] = scores
    for outputs in (
        {"boxes": boxes, "scores": scores, "labels": classes},
        {"boxes": boxes, "scores": scores, "labels": classes.astype(np.float32)},
        {"y": rows},
        {"y": head},
        {"y": head.transpose(0, 2, 1)},
    ):
        found = detections(outputs, "map", None)
        np.testing.assert_allclose(found.boxes, boxes)
        np.testing.assert_allclose(found.scores, scores)
        np.testing.assert_array_equal(found.classes, classes)


def test_a_yolo_head_keeps_the_better_of_two_boxes_of_a_class() -> None:
    head = np.zeros((1, 6, 40), np.float32)
    head[0, :4, :3] = [[20, 21, 20], [20, 20, 20], [10, 10, 10], [10, 10, 10]]
    head[0, 4, :2] = 0.8, 0.9  # one class, nearly one box
    head[0, 5, 2] = 0.7  # the same place, another class
    found = detections({"y": head}, "map", None)
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


def test_outputs_without_detections_count_as_missed() -> None:
    found = metric("map")
    found.update({"y": np.zeros((1, 0, 6), np.float32)}, np.array([[0, 0, 5, 5, 0]]))
    assert found.value() == 0


def test_what_is_not_understood_is_told_with_shapes() -> None:
    with pytest.raises(DataError, match=r"'a' \[1, 7\].*'b' \[2, 2\]"):
        metric("map").update({"a": np.zeros((1, 7)), "b": np.zeros((2, 2))}, np.zeros((0, 5)))
    with pytest.raises(DataError, match="the label is missing"):
        metric("map").update({"y": np.zeros((1, 0, 6), np.float32)}, None)
    nothing = metric("map")
    nothing.update({"y": np.zeros((1, 0, 6), np.float32)}, np.zeros((0, 5)))
    with pytest.raises(DataError, match="No label has an object"):
        nothing.value()


def test_overlap_is_the_shared_area_over_the_joint_one() -> None:
    first = np.array([[0.0, 0, 2, 2], [5, 5, 5, 5]])
    assert overlap(first, np.array([[1.0, 1, 3, 3]])).ravel().tolist() == [1 / 7, 0]
