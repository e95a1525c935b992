"""Writes the deploy.yaml of one point of a search."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import yaml

from snapq.config.reading.secrets import literal
from snapq.errors import ConfigError
from snapq.records import SearchRecord, SearchTrialRecord
from snapq.report.formatting import microseconds


def chosen(
    record: SearchRecord,
    *,
    trial: int | None = None,
    max_drop: float | None = None,
    max_us: float | None = None,
    max_bytes: int | None = None,
) -> SearchTrialRecord:
    """The point of this number; or the fastest that loses at most so much, or the best in time.

    With a limit of the loss it is the fastest within all limits; with other limits alone the one
    that loses least. Without any, the fastest that loses no more than the search's own limit.

    Raises:
        ConfigError: there is no such point.
    """
    done = [one for one in record.trials if one.us is not None and one.loss is not None]
    if trial is not None:
        return _numbered(record, trial)
    if max_drop is None and max_us is None and max_bytes is None:
        max_drop = record.limits.get("max_drop")
        if max_drop is None:
            raise ConfigError(
                "It is not said which point to pick.",
                where="--max-drop",
                hint="Give --max-drop, --max-us or --max-size, or --trial with its number.",
            )
    fit = [
        one
        for one in done
        if (max_drop is None or (one.loss or 0.0) <= max_drop + 1e-9)
        and (max_us is None or (one.us or 0.0) <= max_us)
        and (max_bytes is None or (one.bytes or 0) <= max_bytes)
    ]
    if not fit:
        raise ConfigError(
            "No point of the search keeps this.", where="--max-drop", hint=_nearest(done, record)
        )
    if max_drop is not None:
        return min(fit, key=lambda one: (one.us or 0.0, one.loss or 0.0))
    return min(fit, key=lambda one: (one.loss or 0.0, one.us or 0.0))


def _nearest(done: list[SearchTrialRecord], record: SearchRecord) -> str:
    if not done:
        return "No trial is complete yet: go on with the search."
    best = min(done, key=lambda one: one.loss or 0.0)
    fast = min(done, key=lambda one: one.us or 0.0)
    return (
        f"The least loss is {best.loss:.4g} of {record.loss} (trial {best.number}, "
        f"{microseconds(best.us or 0.0)}), the least time {microseconds(fast.us or 0.0)} (trial "
        f"{fast.number}, {fast.loss:.4g})."
    )


def _numbered(record: SearchRecord, number: int) -> SearchTrialRecord:
    found = next((one for one in record.trials if one.number == number), None)
    if found is None or not found.config:
        raise ConfigError(
            f"There is no trial {number} in this search.",
            where="--trial",
            hint="`snapq search show` lists them.",
        )
    if found.state == "failed":
        raise ConfigError(
            f"Trial {number} failed: {found.sentence}", where="--trial", hint="Pick another one."
        )
    return found


def written(record: SearchRecord, trial: SearchTrialRecord, out: Path) -> str:
    """The text of the deploy.yaml of a point, as it stands in a file.

    Raises:
        ConfigError: the file names functions of modules that lie in another folder.
    """
    values = dict(trial.config)
    if record.benchmark is not None:
        values["benchmark"] = record.benchmark
    folder = out.absolute().parent
    if _names_modules(values) and folder != Path(record.folder):
        raise ConfigError(
            f"The deployment names functions of modules, which are looked for in {record.folder}.",
            where=str(out),
            hint="Write the file there.",
        )
    text = yaml.safe_dump(
        _relative(literal(values), folder), sort_keys=False, allow_unicode=True, width=100
    )
    for name in record.secrets:
        text = text.replace(f"$${{{name}}}", f"${{{name}}}")
    lost = f"{trial.loss:.4g}" if trial.loss is not None else "not simulated"
    time = microseconds(trial.us) if trial.us is not None else "no time"
    head = [
        f"# Trial {trial.number} of the search of {record.name}: {time} estimated on",
        f"# {record.device}, loss {lost} ({record.loss}, simulated).",
    ]
    return "\n".join(head) + "\n" + text


def stages_elsewhere(trial: SearchTrialRecord) -> str:
    """Where the stages of a point are, as a sentence; empty where they are kept here."""
    folder = Path(trial.cache) / "stages"
    if all((folder / str(stage["key"])).is_dir() for stage in trial.stages):
        return ""
    if trial.host != socket.gethostname():
        return f"Its stages lie in {trial.cache} of {trial.host}; a run makes them again here."
    return f"Its stages are no longer in {trial.cache}; a run makes them again."


def _relative(value: Any, folder: Path) -> Any:
    """Paths inside of a folder as seen from it."""
    if isinstance(value, dict):
        return {key: _relative(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_relative(inner, folder) for inner in value]
    if isinstance(value, str) and value.startswith(f"{folder}{os.sep}"):
        return value.removeprefix(f"{folder}{os.sep}")
    return value


def _names_modules(values: dict[str, Any]) -> bool:
    metric = values.get("metric")
    named = [metric] if isinstance(metric, str) else list((metric or {}).values())
    sources = [one for one in values.get("data", {}).values() if isinstance(one, dict)]
    return any(":" in one for one in named) or any(one.get("python") for one in sources)
