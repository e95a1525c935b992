"""`search`: the values that it marks are put at their keys, and checked as the file is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from snapq.config.reading.explain import explain
from snapq.config.reading.json_schema import json_schema, keys
from snapq.config.reading.overrides import OptionError, key_parts, put
from snapq.config.reading.problems import KeyPath, Problems, dotted
from snapq.config.reading.reader import Document
from snapq.config.schema.deploy import DeployConfig
from snapq.config.schema.quantize import PRECISIONS
from snapq.config.schema.search import LAYERS, RESOLUTION, SearchRange
from snapq.errors import nearest

_CHECKED = 100
"""So many values of one key are tried; more are no list that somebody wrote."""
_NOT_SEARCHED = ("search", "name", "benchmark", "gates", "devices", "metric", "own_measurements")
"""Keys that change what a point is compared by, and not what it is."""
_GOALS = {"blocks", "remove", "ratio", "target", "sparsity", "trees"}
"""What a prune stage can be told to do."""


def plain(config: DeployConfig) -> dict[str, Any]:
    """A configuration as the JSON values that somebody wrote, without `search`."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    values.pop("search", None)
    return values


def with_values(values: Mapping[str, Any], marked: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other values at some keys; None leaves a key out.

    Raises:
        OptionError: a key leads nowhere.
    """
    changed: dict[str, Any] = deepcopy(dict(values))
    for key, value in marked.items():
        path = put(changed, key_parts(key), deepcopy(value))
        if value is None:
            _remove(changed, path)
    changed["stages"] = [one for one in changed["stages"] if not _prunes_nothing(one)]
    return changed


def _prunes_nothing(stage: Mapping[str, Any]) -> bool:
    """Whether a stage is one of pruning that has lost all that it was to do."""
    return "prune" in stage and not _GOALS & set(stage["prune"] or ())


def _remove(values: Any, path: KeyPath) -> None:
    for step in path[:-1]:
        values = values[step]
    del values[path[-1]]


def marked_findings(config: DeployConfig) -> Iterator[tuple[KeyPath, str, str]]:
    """What is wrong with `search`: the key, a sentence, and the hint.

    That values of several keys do not go together shows when they are tried.
    """
    values = plain(config)
    for key, mark in config.search.items():
        path: KeyPath = ("search", key)
        if key in (LAYERS, RESOLUTION):
            found = _of_its_own(key, mark)
        else:
            found = _of_key(values, key, mark)
        if found is not None:
            yield path, *found


def _of_its_own(key: str, mark: Any) -> tuple[str, str] | None:
    """What is wrong with `layers` or `resolution`; None where nothing is."""
    listed = not isinstance(mark, SearchRange)
    if key == LAYERS:
        known = [name for name in PRECISIONS if name != "auto"]
        wrong = [one for one in mark if one not in known] if listed else [mark]
        hint = f"Precisions are {', '.join(known)}."
        if wrong:
            close = nearest(str(wrong[0]), known)
            return (
                "`layers` is a list of precisions.",
                f"Did you mean `{close}`? {hint}" if close and listed else hint,
            )
    elif not listed or not all(_is_size(one) for one in mark):
        return (
            "`resolution` is a list of heights, or of [height, width].",
            "Write it so: resolution: [224, 192].",
        )
    return None


def _is_size(value: Any) -> bool:
    sizes = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
    return all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in sizes)


def _of_key(values: Mapping[str, Any], key: str, mark: Any) -> tuple[str, str] | None:
    """What is wrong with the values of a key path; None where nothing is."""
    tried = [mark.low, mark.high] if isinstance(mark, SearchRange) else list(mark)[:_CHECKED]
    if not isinstance(mark, SearchRange) and len({json.dumps(one) for one in mark}) < len(mark):
        return f"A value of `{key}` is there twice.", "Name it once."
    try:
        parts = key_parts(key)
        if parts[0] in _NOT_SEARCHED:
            what = f"`{parts[0]}` is nothing to search: it says what points are compared by."
            return what, "Name keys of the stages, of the data or of the model."
        for value in tried:
            found = _problem(with_values(values, {key: value}), parts)
            if found is not None:
                return found
    except OptionError as error:
        known = (*keys(json_schema(), ()), LAYERS, RESOLUTION)
        close = nearest(key.partition(".")[0], known)
        hint = f"Did you mean `{close}`? " if close and close != key.partition(".")[0] else ""
        return error.what, f"{hint}{error.hint or ''}".strip()
    return None


def _problem(values: dict[str, Any], parts: tuple[str, ...]) -> tuple[str, str] | None:
    """What the schema says against a value at a key."""
    try:
        DeployConfig.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        problems = Problems()
        structural = [one for one in error.errors() if one["type"] != "value_error"]
        explain(structural, Document(values), problems)
        for found in problems.found:
            named = [str(step) for step in found.path if not isinstance(step, int)]
            if set(named) & {part for part in parts if not part.isdecimal()}:
                return f"{dotted(found.path)}: {found.what}", found.hint or ""
    return None
