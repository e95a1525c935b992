"""What each choice of a search costs: a fit of time and loss by the choices of all its trials.

A sum of one effect a choice (least squares, a little shrunk) is fitted to the simulated trials.
It tells which choices matter and what one costs where others are as they are; how they act
together it does not, and its share of the variance says how much that leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snapq.records import SearchRecord, SearchTrialRecord

_SHRUNK = 0.3
"""Weight that pulls effects to zero, in trials."""
_LEAST = 4
"""Fewer trials say nothing."""


@dataclass(frozen=True)
class Effects:
    """A fit of one figure.

    Attributes:
        share: of the variance of the figure that the fit explains, 0 to 1.
        importance: by dimension, its share of what is explained; largest first.
        effects: by dimension and value (as JSON), its effect against the mean.
        own: the choices of the file itself.
    """

    share: float
    importance: Mapping[str, float]
    effects: Mapping[str, Mapping[str, float]]
    own: Mapping[str, Any]

    def cost(self, trial: SearchTrialRecord, key: str) -> float | None:
        """What a choice of a trial changes against the file's own; None where they are one."""
        found = self.effects.get(key, {})
        value, own = json.dumps(trial.choices.get(key)), json.dumps(self.own.get(key))
        if value == own or value not in found or own not in found:
            return None
        return found[value] - found[own]


def effects(record: SearchRecord, figure: str) -> Effects | None:
    """The fit of `us` or `loss`; None where too few trials are simulated, or all are alike."""
    trials = [one for one in record.trials if one.us is not None and one.loss is not None]
    keys = [one.key for one in record.dimensions]
    values = {key: _values(trials, key) for key in keys}
    varied = [key for key in keys if len(values[key]) > 1]
    target = np.array([getattr(one, figure) for one in trials], float)
    if len(trials) < _LEAST or not varied or float(np.ptp(target)) == 0.0:
        return None
    columns = [(key, value) for key in varied for value in values[key]]
    chosen = np.array(
        [
            [float(json.dumps(one.choices.get(key)) == value) for key, value in columns]
            for one in trials
        ]
    )
    centered = target - target.mean()
    left = chosen.T @ chosen + _SHRUNK * np.eye(len(columns))
    found = np.linalg.solve(left, chosen.T @ centered)
    parts = {
        key: chosen[:, places] @ found[places]
        for key in varied
        if (places := [i for i, (name, _) in enumerate(columns) if name == key])
    }
    spread = {key: float(np.var(part)) for key, part in parts.items()}
    total = sum(spread.values()) or 1.0
    rest = centered - sum(parts.values(), np.zeros(len(trials)))
    own = next((one.choices for one in record.trials if one.own), {})
    ranked = sorted(spread.items(), key=lambda item: -item[1])
    return Effects(
        share=max(0.0, 1.0 - float(np.var(rest) / np.var(centered))),
        importance={key: value / total for key, value in ranked},
        effects=_by_key(columns, found),
        own=own,
    )


def _values(trials: Sequence[SearchTrialRecord], key: str) -> list[str]:
    return list(dict.fromkeys(json.dumps(one.choices.get(key)) for one in trials))


def _by_key(columns: Sequence[tuple[str, str]], found: Any) -> dict[str, dict[str, float]]:
    made: dict[str, dict[str, float]] = {}
    for (key, value), effect in zip(columns, found, strict=True):
        made.setdefault(key, {})[value] = float(effect)
    return made
