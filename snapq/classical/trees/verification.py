"""Proof on the simulator that a candidate gives the integers that walking down the trees gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.program import Program
from snapq.classical.trees.encoding import Form
from snapq.classical.trees.forest import Forest
from snapq.classical.trees.network import OUTPUT, Counted
from snapq.classical.trees.plan import Plan
from snapq.devices.profiles import DeviceProfile
from snapq.npu import model as npu

_ROWS, _MOST_CALLS = 256, 32
"""So many rows are compared, at least those of one call."""
_SEED = 15
_SHARE_SPECIAL, _SHARE_NEAR = 0.1, 0.7


def distinct(devices: Sequence[DeviceProfile]) -> tuple[DeviceProfile, ...]:
    """One device of each architecture: within one the arithmetic is the same."""
    return tuple({device.architecture: device for device in reversed(devices)}.values())[::-1]


def _calls(batch: int) -> int:
    return min(-(-_ROWS // batch), _MOST_CALLS)


def testing_rows(plan: Plan) -> dict[str, NDArray[np.float32]]:
    """Rows that are hard to tell apart: thresholds, values one step beside, NaN, infinities, -0.0.

    Returns:
        For each value that the estimators read, float32 [calls x batch, F].
    """
    rng = np.random.default_rng(_SEED)
    return {
        rows: _hard_rows(rng, form, _calls(plan.batch) * plan.batch, plan.encoding.form)
        for rows, form in _read(plan.forest).items()
    }


def _read(forest: Forest) -> dict[str, list[Ensemble]]:
    read: dict[str, list[Ensemble]] = {}
    for estimator, form in zip(forest.estimators, forest.ensembles, strict=True):
        read.setdefault(estimator.rows, []).append(form)
    return read


def _hard_rows(
    rng: np.random.Generator, forms: list[Ensemble], count: int, form: Form
) -> NDArray[np.float32]:
    features = max(ensemble.features for ensemble in forms)
    if form is Form.INTEGERS:
        return _integer_rows(rng, forms, count, features)
    rows = rng.standard_normal((count, features)).astype(np.float32)
    for feature in range(features):
        values = _values(forms, feature)
        if not len(values):
            continue
        # Where thresholds lie, rows lie too: at them, beside them, and between them.
        drawn = rng.choice(values, count)
        way = rng.choice([-np.inf, np.inf], count).astype(np.float32)
        with np.errstate(over="ignore"):  # infinity lies beside the greatest number
            beside = np.nextafter(drawn, way)
        share = rng.random(count)
        between = drawn * share + rng.choice(values, count) * (1 - share)
        kind = rng.integers(0, 3, count)
        rows[:, feature] = np.choose(kind, [drawn, beside, between])
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, np.nan], np.float32)
    few = rng.random(rows.shape) < _SHARE_SPECIAL
    return np.where(few, rng.choice(special, rows.shape), rows).astype(np.float32)


def _values(forms: list[Ensemble], feature: int) -> NDArray[np.float32]:
    """Finite thresholds and members of a feature."""
    found: list[float] = []
    for form in forms:
        asked = form.conditions
        for at in np.flatnonzero(asked.features == feature):
            found += asked.members[at] or [float(asked.thresholds[at])]
    values = np.unique(np.array(found, np.float32))
    return values[np.isfinite(values)]


def _integer_rows(
    rng: np.random.Generator, forms: list[Ensemble], count: int, features: int
) -> NDArray[np.float32]:
    rows = rng.integers(-9, 256, (count, features)).astype(np.float32)
    for feature in range(features):
        near = np.floor(_values(forms, feature))
        if len(near):
            chosen = rng.random(count) < _SHARE_NEAR
            beside = rng.choice(near, count) + rng.integers(0, 2, count)
            rows[chosen, feature] = beside[chosen]
    rows[rng.random(rows.shape) < _SHARE_SPECIAL] = np.nan
    return rows


def expected_counts(plan: Plan, rows: dict[str, NDArray[np.float32]]) -> NDArray[np.int64]:
    """What every column of the output must hold, by walking down the trees.

    Returns:
        int64 [N, columns].
    """
    count = len(next(iter(rows.values())))
    expected = np.zeros((count, plan.counted.columns), np.int64)
    first = 0
    for index, (estimator, form) in enumerate(
        zip(plan.forest.estimators, plan.forest.ensembles, strict=True)
    ):
        reached = form.leaf_of(rows[estimator.rows])
        for number in range(reached.shape[1]):
            _add_tree(plan, index, first + number, reached[:, number], expected)
        first += reached.shape[1]
    return expected


def _add_tree(
    plan: Plan, ensemble: int, tree: int, reached: NDArray[np.int32], expected: NDArray[np.int64]
) -> None:
    forest, columns = plan.forest, plan.counted
    form = forest.ensembles[ensemble]
    here = next((i for i, part in enumerate(plan.parts) if tree in part.trees), None)
    if here is None:
        return  # all its leaves add the same
    for target in forest.trees[tree].targets:
        adds = form.values[reached, target[1]] - forest.trees[tree].offset[target[1]]
        places = _places_in(columns, here, target)
        expected[:, places] += columns.digits[target].of(adds)


def _places_in(columns: Counted, part: int, target: tuple[int, int]) -> list[int]:
    before = sum(target in targets for targets in columns.targets[:part])
    count = columns.digits[target].count
    return columns.places(target)[before * count : (before + 1) * count]


def wrong_rows(
    plan: Plan, model: npu.Model, rows: dict[str, NDArray[np.float32]], expected: NDArray[np.int64]
) -> int:
    """Runs the whole way, from rows to counts, and compares every count.

    Returns:
        How many rows have a count that is not the expected one.
    """
    names = tuple(given.name for given in plan.encoding.inputs)
    program = Program(tuple(rows), names, plan.encode())
    starts = range(0, len(expected), plan.batch)
    feeds = [
        program.run({name: held[start : start + plan.batch] for name, held in rows.items()})
        for start in starts
    ]
    got = [
        outputs[OUTPUT].reshape(-1, plan.counted.columns)[: plan.batch]
        for outputs in model.simulate(feeds)
    ]
    return int((np.concatenate(got) != expected).any(1).sum())
