"""Runs one deploy.yaml with several values of one key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DeployConfig
from snapq.config.reading.renamed import current_path
from snapq.errors import ConfigError, SnapqError, nearest
from snapq.storage import write_text

if TYPE_CHECKING:
    from snapq.records import RunRecord
    from snapq.report.sweep import SweepRecord

RECORD, PAGE = "sweep.json", "sweep.html"
_EXAMPLE = "Write --sweep KEY=VALUE,VALUE,…, such as --sweep ratio=0.1,0.2,0.3."


def parse(option: str) -> tuple[str, tuple[str, ...]]:
    """Reads `KEY=VALUE,VALUE,…`.

    Raises:
        ConfigError: there is no key, or there are fewer than two values, or one comes twice.
    """
    key, separator, text = option.partition("=")
    values = tuple(part.strip() for part in text.split(",") if part.strip())
    if not separator or not key.strip() or len(values) < 2 or len(set(values)) < len(values):
        raise ConfigError(
            f"{option!r} does not name a key and two or more different values.",
            where="--sweep",
            hint=_EXAMPLE,
        )
    return key.strip(), values


def key_path(key: str, config: DeployConfig) -> str:
    """The path of a key as `--set` takes it; a bare name is looked for among the stages' options.

    Where several stages have the option, the one that the file gives it to is meant.

    Raises:
        ConfigError: no stage of the file has such an option, or it is not clear which one is meant.
    """
    if "." in key:
        return key
    stages = list(enumerate(config.stages))
    named = [(i, item, current_path((item.name, key))[1]) for i, item in stages]
    having = [found for found in named if found[2] in type(found[1].options).model_fields]
    given = [found for found in having if found[2] in found[1].options.model_fields_set]
    names = [item.name for item in config.stages]
    paths = [
        f"stages.{'' if names.count(item.name) == 1 else f'{index}.'}{item.name}.{option}"
        for index, item, option in (given if len(given) == 1 else having)
    ]
    if len(paths) == 1:
        return paths[0]
    known = {name for item in config.stages for name in type(item.options).model_fields}
    match = nearest(key, known)
    raise ConfigError(
        f"Several stages have an option `{key}`."
        if paths
        else f"No stage of the file has an option `{key}`.",
        where="--sweep",
        hint=f"Write which one: {', '.join(paths)}."
        if paths
        else f"Did you mean `{match}`?"
        if match
        else _EXAMPLE,
    )


def sweep(
    key: str,
    configs: Sequence[tuple[str, DeployConfig]],
    execute: Callable[[DeployConfig], tuple[Path, RunRecord]],
    folder: Path,
) -> SweepRecord:
    """Runs every configuration, and writes the page and the record after each.

    A run that fails is marked with its reason, and the others still run. `execute` makes one and
    returns its directory and its record.

    Raises:
        SnapqError: the reason of the first failure, where every run failed.
    """
    from snapq.report.sweep import SweepPoint, SweepRecord, point, render

    points: list[SweepPoint] = []
    errors: list[SnapqError] = []
    record = SweepRecord(name=configs[0][1].name, key=key, points=())
    for value, config in configs:
        try:
            place, run = execute(config)
            points.append(point(value, f"../{place.name}", run))
        except SnapqError as error:
            errors.append(error)
            points.append(SweepPoint(value=value, folder="", error=str(error)))
        if len(errors) < len(points):
            record = record.model_copy(update={"points": tuple(points)})
            write_text(folder / RECORD, record.model_dump_json(indent=1) + "\n")
            write_text(folder / PAGE, render(record))
    if len(errors) == len(configs):
        raise errors[0]
    return record
