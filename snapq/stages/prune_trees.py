"""Pruning of tree ensembles on labelled rows, as a part of the prune stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.classical import pruning
from snapq.classical.model import ClassicalModel
from snapq.config import PruneTrees
from snapq.errors import ConfigError, DataError
from snapq.evaluation.rows import class_numbers
from snapq.evaluation.samples import Array, Dataset
from snapq.graph.classical import classes

Table = tuple[dict[str, Array], Array]
"""Rows by input, and their labels."""
_NUMBERS = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


def prune_trees(
    model: ir.Model,
    options: PruneTrees,
    data: Dataset | None,
    notes: list[str],
    details: dict[str, Any],
) -> ir.Model:
    """Prunes the trees of a model as far as every other labelled row allows.

    Args:
        model: of ai.onnx.ml; its nodes get names where they have none.
        options: how much may be lost.
        data: labelled rows; the rows between say how often leaves are reached.
        notes: gets a sentence on what became smaller.
        details: gets `trees`: the price of a leaf, and figures before and after.

    Raises:
        ConfigError: there are no labelled rows.
        DataError: they are too few, or no labels of this model.
        ModelError: the model holds no trees that can be pruned.
    """
    _name_apart(model)
    rows, labels = _table(data)
    if data is not None:
        class_numbers(data, classes(model))  # refuses labels that the model does not know
    counting, judging = slice(0, None, 2), slice(1, None, 2)
    held_out = {name: values[judging] for name, values in rows.items()}
    done = pruning.prune_trees(
        ir.to_proto(model),
        {name: values[counting] for name, values in rows.items()},
        _score(held_out, labels[judging]),
        options.most_loss,
    )
    before, after = done.before, done.after
    details["trees"] = {"price": done.price, "before": asdict(before), "after": asdict(after)}
    figure = "R2" if model.graph.outputs[0].dtype in _NUMBERS else "accuracy"
    notes.append(
        f"Trees have {after.nodes:,} of {before.nodes:,} nodes, the model {after.bytes:,} of "
        f"{before.bytes:,} bytes; {figure} {before.score:.4f} became {after.score:.4f} on "
        f"{len(labels[judging]):,} rows that were held out."
    )
    return ir.from_proto(done.model)


def check_rows(model: ir.Model, data: Dataset | None) -> None:
    """Refuses rows on which trees cannot be pruned, before any work.

    Raises:
        ConfigError: there are none, or they have no labels.
        DataError: a label is none of the model's.
    """
    if data is None or any(sample.label is None for sample in data):
        raise _no_labels()
    class_numbers(data, classes(model))


def _no_labels() -> ConfigError:
    return ConfigError(
        "Trees are pruned on rows with labels, and there are none.",
        where="stages.prune.trees",
        hint="Give some that are not for evaluation: `data: {calibration: {table: train.csv, "
        "label: target}}`.",
    )


def _name_apart(model: ir.Model) -> None:
    """Gives each node a name of its own, by which trees are found again."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{number}"
        taken.add(node.name)


def _table(data: Dataset | None) -> Table:
    """All rows of a data set with their labels."""
    parts: list[Mapping[str, Array]] = []
    labels: list[Any] = []
    for sample in data or ():
        count = len(next(iter(sample.feeds.values()))) if sample.rows is None else sample.rows
        if sample.label is None:
            labels = []
            break
        parts.append({name: values[:count] for name, values in sample.feeds.items()})
        labels.extend(np.atleast_1d(np.asarray(sample.label)).tolist()[:count])
    if not labels:
        raise _no_labels()
    if len(labels) < 4:
        raise DataError(f"{len(labels)} rows are too few to prune trees on.")
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return rows, np.array(labels)


def _score(rows: Mapping[str, Array], labels: Array) -> Callable[[ClassicalModel], float]:
    """The share of right labels, or R2 of a regression."""

    def score(model: ClassicalModel) -> float:
        answers = next(iter(model.run(rows).values()))
        if answers.dtype.kind != "f":
            return float(np.mean(answers.astype(np.str_).reshape(-1) == labels.astype(np.str_)))
        found = answers.reshape(len(labels), -1)
        if labels.dtype.kind not in "biuf" or labels.size != found.size:
            raise DataError(
                f"The model gives {found.shape[1]} numbers a row, and labels of shape "
                f"{list(labels.shape[1:])} and type {labels.dtype} are given.",
                where="data.calibration",
                hint="Give the wanted numbers of each row.",
            )
        wanted = labels.astype(np.float64).reshape(found.shape)
        spread = wanted.var(axis=0)
        errors = ((found - wanted) ** 2).mean(axis=0)
        return float(np.mean(1 - errors / np.where(spread > 0, spread, 1.0)))

    return score
