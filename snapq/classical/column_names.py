"""Names of the columns that estimators read, as the user knows them.

What stands between a model's inputs and an estimator is not looked through step by step: a column
of its rows is named after the one column of the inputs whose values change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from snapq.classical.division import host_steps, input_names, program
from snapq.classical.ensemble import Ensemble
from snapq.classical.program import Array

if TYPE_CHECKING:
    from snapq.classical.model import ClassicalModel

__all__ = ["column_names"]

_MOST_COLUMNS = 500
"""Of the inputs: each takes a run of the steps in front of the estimators."""
_ROWS = 512


def column_names(
    model: ClassicalModel, rows: Mapping[str, Array], names: Mapping[str, Sequence[str]]
) -> dict[str, dict[int, str]]:
    """Names of the columns of each ensemble of trees.

    Args:
        model: the model.
        rows: some rows by input, `[N, columns]`.
        names: of the columns of an input, where a table has them. Without, the column of an input
            that has but one is named like the input, and others `INPUT[number]`.

    Returns:
        By name of the ensemble, for each column that is made of one column of the inputs its name.
    """
    trees = [one for one in model.estimators if isinstance(one.form, Ensemble)]
    few = {name: value[:_ROWS] for name, value in rows.items()}
    known = {name: _of_input(name, value, names.get(name, ())) for name, value in few.items()}
    inputs = input_names(model)
    made = {one.rows for one in trees if one.rows not in few}
    if made and few.keys() >= set(inputs) and sum(map(len, known.values())) <= _MOST_COLUMNS:
        known |= _behind_steps(model, few, known, sorted(made))
    return {
        one.form.name: {at: name for at, name in enumerate(known.get(one.rows, ())) if name}
        for one in trees
    }


def _of_input(name: str, value: Array, names: Sequence[str]) -> list[str]:
    width = value.shape[1] if value.ndim > 1 else 1
    if len(names) == width:
        return list(names)
    return [name] if width == 1 else [f"{name}[{column}]" for column in range(width)]


def _behind_steps(
    model: ClassicalModel,
    rows: Mapping[str, Array],
    known: Mapping[str, list[str]],
    made: Sequence[str],
) -> dict[str, list[str]]:
    """Names of columns that steps make of the inputs; empty ones where they make one of several."""
    sums = {one.sums for one in model.estimators}
    steps = program(host_steps(model, model.estimators), input_names(model), made)
    if sums & {name for step in steps.steps for name in step.inputs}:
        return {}  # rows that another estimator makes
    usual = steps.run(rows)
    found: dict[str, list[list[str]]] = {
        name: [[] for _ in range(usual[name].shape[1])] for name in made
    }
    for name, column, changed in _changed(rows):
        for own, value in steps.run(changed).items():
            differs = (value != usual[own]) & ~(_missing(value) & _missing(usual[own]))
            for place in np.flatnonzero(differs.any(0)):
                found[own][place].append(known[name][column])
    return {
        name: [made_of[0] if len(made_of) == 1 else "" for made_of in columns]
        for name, columns in found.items()
    }


def _missing(values: Array) -> Array:
    return np.not_equal(values, values)


def _changed(rows: Mapping[str, Array]) -> Iterator[tuple[str, int, dict[str, Array]]]:
    """The rows with the values of one column in another order, column by column."""
    for name, values in rows.items():
        for column in range(values.shape[1]):
            changed = values.copy()
            changed[:, column] = np.roll(values[:, column], 1)
            yield name, column, {**rows, name: changed}
