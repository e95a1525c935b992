"""Mean average precision of detectors, by COCO's definition."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array, Label
from snapq.evaluation.scores.base import Outputs
from snapq.evaluation.scores.boxes import Detections, detections, overlap

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_MOST = 100
"""Detections of a class in a picture that count, those with the highest scores."""


@dataclass
class _Class:
    """What was seen of one class."""

    objects: int = 0
    scores: list[Array] = field(default_factory=list)
    right: list[Array] = field(default_factory=list)
    """[thresholds, detections] of each picture, in the order of the scores."""
    counted: list[Array] = field(default_factory=list)


class MeanAveragePrecision:
    """mAP as COCO defines it, over all sizes of objects, with at most 100 detections of a class.

    Precision at 101 recalls, mean over these, over IoU thresholds and over the classes that labels
    have. Where the outputs hold detections is told in `snapq.evaluation.scores.boxes`. The label is
    [objects, 5] with x1, y1, x2, y2 and class in the outputs' pixels; a sixth number other than 0
    marks a crowd, in which detections count neither as right nor as wrong. Differences from
    pycocotools in areas by mask do not arise: an area is that of its box.
    """

    def __init__(self, name: str, thresholds: Array = _THRESHOLDS) -> None:
        self.name = name
        self.samples = 0
        self._thresholds = thresholds
        self._classes: defaultdict[int, _Class] = defaultdict(_Class)

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one picture."""
        truth = _objects(label, self.name, name)
        found = detections(outputs, self.name, name)
        kinds = {*truth[:, 4].astype(int).tolist(), *found.classes.tolist()}
        for kind in kinds:
            self._add(self._classes[kind], truth[truth[:, 4] == kind], found.of(kind))
        self.samples += 1

    def _add(self, seen: _Class, truth: Array, found: Detections) -> None:
        best = np.argsort(-found.scores, kind="stable")[:_MOST]
        crowd = truth[:, 5] != 0
        truth = truth[np.argsort(crowd, kind="stable")]
        crowd = truth[:, 5] != 0
        overlaps = overlap(found.boxes[best], truth[:, :4], crowd)
        matches = [_match(overlaps, crowd, least) for least in self._thresholds]
        seen.objects += int((~crowd).sum())
        seen.scores.append(found.scores[best])
        seen.right.append(np.array([right for right, _ in matches]).reshape(len(matches), -1))
        seen.counted.append(np.array([counted for _, counted in matches]).reshape(len(matches), -1))

    def value(self) -> float:
        """The mean, 0 to 1. Raises `DataError` where no label has an object."""
        labelled = [seen for seen in self._classes.values() if seen.objects]
        if not labelled:
            raise DataError(
                "No label has an object." if self.samples else "There are no samples.",
                where=self.name,
                hint="Check the labels: at least one picture needs a box.",
            )
        return float(np.mean([_average_precision(seen) for seen in labelled]))


def _match(overlaps: Array, crowd: Array, least: float) -> tuple[Array, Array]:
    """Which detections, best first, are right, and which count at all, at one IoU threshold."""
    taken = np.zeros(len(crowd), bool)
    right, counted = np.zeros(len(overlaps), bool), np.ones(len(overlaps), bool)
    for index, row in enumerate(overlaps):
        for group in (~crowd & ~taken, crowd):  # an object before a crowd, whatever overlaps more
            allowed = np.where(group, row, -1.0)
            # Of equal overlaps, the last one, as COCO's own evaluation takes it.
            place = len(allowed) - 1 - int(np.argmax(allowed[::-1])) if len(allowed) else -1
            if place >= 0 and allowed[place] >= min(least, 1 - 1e-10):
                taken[place] |= not crowd[place]
                right[index] = not crowd[place]
                counted[index] = not crowd[place]
                break
    return right, counted


def _average_precision(seen: _Class) -> float:
    """Mean over thresholds of the precision at 101 recalls."""
    order = np.argsort(-np.concatenate(seen.scores), kind="mergesort")
    right = np.concatenate(seen.right, axis=1)[:, order]
    counted = np.concatenate(seen.counted, axis=1)[:, order]
    values = []
    for hits, counts in zip(right, counted, strict=True):
        true = np.cumsum(hits)
        false = np.cumsum(~hits & counts)
        recall = true / seen.objects
        precision = true / np.maximum(true + false, np.spacing(1.0))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, _RECALLS, side="left")
        values.append(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())
    return float(np.mean(values))


def _objects(label: Label | None, metric: str, name: str | None) -> Array:
    """The label as [objects, 6]."""
    boxes = np.asarray(label, np.float64) if label is not None else np.zeros(())
    if boxes.size == 0 and label is not None:
        return np.zeros((0, 6))
    if label is None or boxes.ndim != 2 or boxes.shape[1] not in (5, 6):
        raise DataError(
            f"{metric} needs boxes [objects, 5], and the label is "
            + ("missing." if label is None else f"of shape {list(boxes.shape)}."),
            where=name,
            hint="Give `labels:` as COCO JSON, as a folder of YOLO's .txt files, or by `python:` "
            "with x1, y1, x2, y2 and class of each object.",
        )
    return np.pad(boxes, ((0, 0), (0, 6 - boxes.shape[1])))
