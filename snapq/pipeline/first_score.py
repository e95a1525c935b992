"""Scores one sample before any work: a metric that does not fit the model fails at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from snapq.cpu import CpuModel
from snapq.errors import DataError
from snapq.evaluation.datasets import Dataset
from snapq.evaluation.metrics import Metric
from snapq.evaluation.rows import class_numbers, rows_of
from snapq.evaluation.samples import Array
from snapq.evaluation.stateful import in_sequence
from snapq.evaluation.tail import Tail
from snapq.graph.classical import classes
from snapq.graph.cutting import Cut
from snapq.quantization.existing_qdq.strip import is_quantized

if TYPE_CHECKING:
    import onnx_ir as ir

_MOST_LABELS = 100_000
_FAULTS_OF_CODE = (NameError, AttributeError, TypeError, ImportError)


def score_first(found: Cut, data: Dataset, metrics: Sequence[Metric]) -> None:
    """Scores what the float model gives for the first sample, behind the tail of one that is cut.

    The metrics are used up: a run makes its own.

    Raises:
        DataError: a metric does not fit the outputs or the label, or a function of the user's
            fails.
        ModelError: the model cannot compute the sample.
    """
    first = next(iter(data), None)
    if first is None or not metrics:
        return
    front = CpuModel(found.model, optimize=not is_quantized(found.model))
    alone = [replace(first, first=True)]
    (outputs,) = in_sequence(alone, data.state, lambda sample: front.run(sample.feeds))
    if found.tail is not None:
        outputs = Tail(found.tail, found.outputs).run(first, outputs)
    for metric in metrics:
        metric.update(outputs, first.label, first.name)
    _compute_once(metrics)
    if data.labels is not None:
        _check_class_numbers(data.labels(), outputs, metrics)


def _check_class_numbers(
    labels: Iterable[tuple[str, object]], outputs: Mapping[str, Array], metrics: Sequence[Metric]
) -> None:
    """Refuses class numbers that the model has not, by what it gave for the first sample.

    Raises:
        DataError: the sample whose label does not fit.
    """
    own = [metric for metric in metrics if ":" not in metric.name]  # others may take long
    for name, label in islice(labels, _MOST_LABELS):
        if isinstance(label, int):
            for metric in own:
                metric.update(outputs, label, name)


def _compute_once(metrics: Sequence[Metric]) -> None:
    """Refuses a `compute` whose code is wrong; that one sample is too few is no fault.

    Raises:
        DataError: the user's code names what is not there, or returns no number.
    """
    for metric in metrics:
        try:
            metric.value()
        except DataError as error:
            if isinstance(error.__cause__, _FAULTS_OF_CODE):
                raise


def score_first_rows(model: ir.Model, data: Dataset, metrics: Sequence[Metric]) -> None:
    """Scores what a classical model gives for the first batch of rows.

    Raises:
        DataError, ModelError: as `score_first`.
    """
    first = next(iter(data), None)
    if first is None or not metrics:
        return
    outputs = CpuModel(model).run(first.feeds)
    for own, label, name in rows_of(first, outputs, class_numbers(data, classes(model))):
        for metric in metrics:
            metric.update(own, label, name)
    _compute_once(metrics)
