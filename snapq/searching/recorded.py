"""A search as a record: what `search.json` holds, and what page and table are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from snapq.config.reading.marked import with_values
from snapq.errors import ConfigError
from snapq.records import SearchDimensionRecord, SearchRecord, SearchTrialRecord
from snapq.searching import storing
from snapq.searching.frontier import Point, hypervolume, worst_of
from snapq.searching.ranked import Told, keeps, rivals
from snapq.searching.study import Study
from snapq.searching.trial import Limits, as_config

_SPENT = ("Every point of the space is tried: mark more in `search` for more trials.",)


def recorded(
    study: Study,
    storage: str,
    asked: int,
    limits: Limits,
    benchmark: Mapping[str, Any] | None = None,
) -> SearchRecord:
    """All that is done by now.

    Args:
        study: the search.
        storage: its URL.
        asked: how many trials were asked for.
        limits: what points have to keep.
        benchmark: `benchmark` of the deploy.yaml, without secrets, for those who pick a point.
    """
    plan, told = study.plan, study.told()
    own = _complete(plan.base)
    best = {one.number for one in rivals(told, limits)}
    return SearchRecord(
        name=plan.name,
        study=study.name,
        storage=storing.shown(storage),
        folder=plan.folder,
        device=plan.device,
        loss=plan.loss,
        float_values=dict(plan.float_values or {}),
        sampler=plan.sampler,
        seed=plan.seed,
        asked=asked,
        limits={
            "max_drop": limits.max_drop,
            "max_us": limits.max_us,
            "max_bytes": limits.max_bytes,
        },
        secrets=plan.secrets,
        benchmark=None if benchmark is None else dict(benchmark),
        dimensions=tuple(
            SearchDimensionRecord(key=one.key, values=one.described())
            for one in plan.space.dimensions
        ),
        trials=tuple(_trial(one, limits, best, own) for one in told),
        covered=tuple(_covered(told, limits)),
        notes=(*plan.notes, *plan.space.notes, *(_SPENT if study.spent else ())),
        random_inputs=plan.random_inputs,
    )


def _covered(told: Sequence[Told], limits: Limits) -> Iterator[float]:
    """The hypervolume after each trial."""
    kept = [keeps(one, limits) for one in told]
    points = [(one.outcome.us or 0.0, one.outcome.loss or 0.0) for one in told]
    counted = [point for point, keep in zip(points, kept, strict=True) if keep]
    if not counted:
        return
    worst = worst_of(counted)
    so_far: list[Point] = []
    for point, keep in zip(points, kept, strict=True):
        so_far += [point] if keep else []
        yield hypervolume(so_far, worst)


def _trial(one: Told, limits: Limits, best: set[int], base: Mapping[str, Any]) -> SearchTrialRecord:
    outcome = one.outcome
    config: dict[str, Any] = json.loads(outcome.config) if outcome.config else {}
    return SearchTrialRecord(
        number=outcome.number,
        state=outcome.state,
        sentence=outcome.sentence,
        choices=dict(one.choices),
        us=outcome.us,
        loss=outcome.loss,
        bytes=outcome.bytes,
        best=outcome.number in best,
        own=bool(config) and _complete(config) == base,
        within=keeps(one, limits),
        measures=dict(outcome.measures),
        layers=_layers(config),
        stages=tuple(dict(stage) for stage in outcome.stages),
        config=config,
        seconds=outcome.seconds,
        cpu_seconds=outcome.cpu_seconds,
        host=outcome.host,
        cache=outcome.cache,
    )


def _complete(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration with all defaults; as it is where its values do not go together."""
    try:
        return as_config(json.dumps(with_values(values, {}))).model_dump(mode="json")
    except ConfigError:
        return values


def _layers(config: Mapping[str, Any]) -> dict[str, int]:
    """How many nodes the overrides of a configuration give each precision."""
    found: dict[str, int] = {}
    for item in config.get("stages", ()):
        options = item.get("quantize") or {}
        for one in options.get("overrides", ()):
            types = [one.get("weights"), one.get("activations")]
            name = "fp16" if one.get("keep") else "/".join(filter(None, types))
            found[name] = found.get(name, 0) + len(one.get("nodes", ()))
    return found
