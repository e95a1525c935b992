"""Detections in a detector's outputs, and how much boxes overlap.

Boxes are x1, y1, x2, y2 in pixels of the model's input. What is understood:

- three outputs of as many rows: boxes [N, 4], scores [N] and classes [N] of integer type or named
  `labels` or `classes`, as torchvision's detectors give them;
- one output [N, 6] of at most 1,000 rows: box, score, class, as end-to-end YOLO heads give it;
- one output [4 + classes, N] or [N, 4 + classes]: the centre, width and height of a box and a
  probability for each class, as YOLOv8 heads give it; the best 300 are kept that no better one of
  their class overlaps by more than 0.7, of those whose probability is above 0.001.

A leading 1 may stand in front. Anything else is for a function of the user's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.samples import Array
from snapq.evaluation.scores.base import Outputs

_MOST_FINAL = 1000
_MOST_CANDIDATES = 3000
_MOST_KEPT = 300
_LEAST_SCORE = 0.001
_SAME = 0.7
_CLASS_NAMES = ("label", "class")
_SCORE_NAMES = ("score", "conf", "prob")


@dataclass(frozen=True)
class Detections:
    """What a detector found in one picture.

    Attributes:
        boxes: [N, 4], x1, y1, x2, y2 in pixels of the input.
        scores: [N], higher is surer.
        classes: [N].
    """

    boxes: Array
    scores: Array
    classes: Array

    def of(self, kind: int) -> Detections:
        """Those of one class."""
        mine = self.classes == kind
        return Detections(self.boxes[mine], self.scores[mine], self.classes[mine])


def detections(outputs: Outputs, metric: str, where: str | None) -> Detections:
    """The detections in a detector's outputs.

    Raises:
        DataError: the outputs are not of a form that is understood.
    """
    arrays = {name: _without_batch(array) for name, array in outputs.items()}
    found = _three(arrays) or (_one(next(iter(arrays.values()))) if len(arrays) == 1 else None)
    if found is None:
        listed = ", ".join(f"'{name}' {list(array.shape)}" for name, array in outputs.items())
        raise DataError(
            f"{metric} does not know where the outputs {listed} have boxes, scores and classes.",
            where=where or "metric",
            hint="It takes boxes, scores and classes, one output [N, 6], or a YOLOv8 head; for "
            "others write `metric: module:Class`.",
        )
    finite = np.isfinite(found.boxes).all(1) & np.isfinite(found.scores)
    return Detections(found.boxes[finite], found.scores[finite], found.classes[finite])


def overlap(found: Array, truth: Array, crowd: Array | None = None) -> Array:
    """IoU of each of `found` [N, 4] with each of `truth` [M, 4]: [N, M].

    With a crowd it is the share of the found box that lies in it.
    """
    corner = np.maximum(found[:, None, :2], truth[None, :, :2])
    other = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    both = np.prod(np.maximum(other - corner, 0.0), axis=2)
    own = np.prod(np.maximum(found[:, 2:] - found[:, :2], 0.0), axis=1)[:, None]
    theirs = np.prod(np.maximum(truth[:, 2:] - truth[:, :2], 0.0), axis=1)[None]
    either = own + theirs - both
    if crowd is not None:
        either = np.where(crowd[None], own, either)
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def _without_batch(array: Array) -> Array:
    return array[0] if array.ndim > 1 and array.shape[0] == 1 else array


def _three(arrays: Outputs) -> Detections | None:
    """Boxes, scores and classes as outputs of their own."""
    boxes = [name for name, array in arrays.items() if array.ndim == 2 and array.shape[1] == 4]
    if len(arrays) != 3 or len(boxes) != 1:
        return None
    count = len(arrays[boxes[0]])
    rest = {name: array for name, array in arrays.items() if name != boxes[0]}
    if any(array.size != count for array in rest.values()):
        return None
    classes = [name for name in rest if any(word in name.lower() for word in _CLASS_NAMES)]
    whole = [name for name, array in rest.items() if array.dtype.kind in "iu"]
    scores = [name for name in rest if any(word in name.lower() for word in _SCORE_NAMES)]
    left = [name for name in rest if name not in scores]
    chosen = next((names[0] for names in (whole, left, classes) if len(names) == 1), None)
    if chosen is None:
        return None
    score = next(name for name in rest if name != chosen)
    return Detections(
        arrays[boxes[0]].astype(np.float64),
        rest[score].reshape(-1).astype(np.float64),
        rest[chosen].reshape(-1).astype(np.int64),
    )


def _one(array: Array) -> Detections | None:
    if array.ndim != 2 or array.dtype.kind != "f":
        return None
    rows = array.astype(np.float64)
    if rows.shape[1] == 6 and len(rows) <= _MOST_FINAL:
        classes = np.nan_to_num(rows[:, 5], nan=-1).astype(np.int64)
        return Detections(rows[:, :4], rows[:, 4], classes)
    head = rows if rows.shape[0] > rows.shape[1] else rows.T
    return _suppressed(head) if 4 < head.shape[1] < len(head) else None


def _suppressed(head: Array) -> Detections:
    """Candidates [N, 4 + classes] without those that a better one of their class covers."""
    probabilities = head[:, 4:]
    classes = probabilities.argmax(1)
    scores = probabilities.max(1)
    order = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    order = order[scores[order] > _LEAST_SCORE]
    centre, half = head[order, :2], head[order, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    kinds = classes[order]
    kept: list[int] = []
    open_ = np.ones(len(order), bool)
    while len(kept) < _MOST_KEPT and open_.any():
        best = int(np.argmax(open_))
        kept.append(best)
        covered = overlap(boxes[best : best + 1], boxes)[0] > _SAME
        open_ &= ~(covered & (kinds == kinds[best]))
        open_[best] = False
    return Detections(boxes[kept], scores[order][kept], kinds[kept])
