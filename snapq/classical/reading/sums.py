"""Trees that a step adds up as one ensemble.

1. A Sum, or an Add of two, whose terms are the sums of trees in float32, of one target each, all
   over the same rows and read by nothing else, is one ensemble of all their trees.
2. Steps that nothing reads any more go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from snapq.classical.ensemble import Conditions, Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.program.step import Step
from snapq.classical.reading.columns import Item, needed

_FLOAT32 = 1


def merge_sums(items: Sequence[Item], outputs: Sequence[str]) -> list[Item]:
    """The same items with trees that are added up as one ensemble.

    Args:
        items: in the order in which they run.
        outputs: values that must stay.
    """
    maker = {name: item for item in items for name in _made(item)}
    read = Counter(name for item in items for name in _read(item))
    read.update(outputs)
    changed = list(items)
    for place, item in enumerate(items):
        terms = _terms(item, maker, read)
        if not terms or not isinstance(item, Step):
            continue
        first, others = terms[0], {id(term) for term in terms[1:]}
        changed = [one for one in changed if id(one) not in others]
        whole = replace(first, form=_joined([_form(term) for term in terms]))
        changed[next(at for at, one in enumerate(changed) if one is first)] = whole
        at = next(at for at, one in enumerate(changed) if one is items[place])
        changed[at] = Step("Cast", (first.sums,), item.outputs, {"to": _FLOAT32})
    return needed(changed, outputs)


def _made(item: Item) -> tuple[str, ...]:
    return (item.sums,) if isinstance(item, Estimator) else item.outputs


def _read(item: Item) -> tuple[str, ...]:
    return (item.rows,) if isinstance(item, Estimator) else item.inputs


def _terms(item: Item, maker: Mapping[str, Item], read: Counter[str]) -> list[Estimator]:
    """The trees that a step adds up; none where it does anything else."""
    if not isinstance(item, Step) or item.op not in ("Sum", "Add") or len(item.inputs) < 2:
        return []
    found: list[Estimator] = []
    for name in item.inputs:
        cast = maker.get(name)
        if not isinstance(cast, Step) or cast.op != "Cast" or cast.attributes.get("to") != _FLOAT32:
            return []
        term = maker.get(cast.inputs[0])
        if not isinstance(term, Estimator) or read[name] != 1 or read[term.sums] != 1:
            return []
        form = term.form
        if not isinstance(form, Ensemble) or form.targets != 1 or form.labels is not None:
            return []
        found.append(term)
    return found if len({term.rows for term in found}) == 1 else []


def _form(estimator: Estimator) -> Ensemble:
    assert isinstance(estimator.form, Ensemble)
    return estimator.form


def _joined(forms: Sequence[Ensemble]) -> Ensemble:
    """All trees of several ensembles in one."""
    nodes = np.cumsum([0, *(len(form.condition) for form in forms)])
    asked = np.cumsum([0, *(len(form.conditions) for form in forms)])

    def moved(name: str, by: np.ndarray) -> np.ndarray:
        parts = [
            np.where(getattr(form, name) < 0, -1, getattr(form, name) + start)
            for form, start in zip(forms, by, strict=False)
        ]
        return np.concatenate(parts).astype(np.int32)

    conditions = [form.conditions for form in forms]
    return replace(
        forms[0],
        name=f"{forms[0].name} and {len(forms) - 1} others",
        conditions=Conditions(
            np.concatenate([one.features for one in conditions]),
            np.concatenate([one.thresholds for one in conditions]),
            np.concatenate([one.nan_true for one in conditions]),
            tuple(member for one in conditions for member in one.members),
        ),
        condition=moved("condition", asked),
        on_true=moved("on_true", nodes),
        on_false=moved("on_false", nodes),
        values=np.concatenate([form.values for form in forms]),
        roots=moved("roots", nodes),
    )
