"""Takes part in a search that others began: asks its storage for trials and does them here.

Files lie where the search was begun, or at the same places below another folder. The stage cache is
this machine's own, so an artifact is where its trial was made; it is made again where it is picked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from snapq.errors import ConfigError, StorageError, did_you_mean
from snapq.progress import Progress
from snapq.searching import storing
from snapq.searching.specs import TrialOutcome, TrialSpec
from snapq.searching.study import Study
from snapq.searching.trial import evaluate

__all__ = ["joined", "moved_to"]

Evaluate = Callable[[TrialSpec, Progress | None], TrialOutcome]


def joined(storage: str, name: str | None, computing: Mapping[str, str]) -> Study:
    """The search to take part in: the one of this name, or the only one of the storage.

    Args:
        storage: URL of the storage.
        name: of the search, or of its deployment.
        computing: what results depend on here, beside their inputs.

    Raises:
        ConfigError: it is not clear which one is meant.
        StorageError: there is none, it does not answer, or it was begun by other versions.
    """
    names = Study.names(storage)
    chosen = [one for one in names if name in (None, one, one.rpartition("-")[0])]
    if len(chosen) != 1:
        listed = ", ".join(names)
        if chosen:
            hint = f"Name one with --name: {listed}."
            raise ConfigError("The storage has several searches.", where="--name", hint=hint)
        begin = "Begin one with `snapq search deploy.yaml --storage URL`."
        hint = did_you_mean(name or "", names, f"It has {listed}." if names else begin)
        what = "There is no search in the storage." if name is None else f"No search '{name}'."
        raise StorageError(what, where=storing.shown(storage), hint=hint)
    study = Study(storage, chosen[0])
    _check_same(study, computing)
    return study


def moved_to(study: Study, folder: Path | None) -> Evaluate:
    """What does a trial with the files below `folder` in the place of the search's own.

    Args:
        study: the search.
        folder: a copy of the folder with its deploy.yaml; None where that is at the same place.

    Raises:
        ConfigError: there is no such folder.
    """
    there = study.plan.folder
    here = str((Path(there) if folder is None else folder).absolute())
    if not Path(here).is_dir():
        raise ConfigError(
            f"The search was begun in {there}, which is not on this machine."
            if folder is None
            else f"There is no folder {here}.",
            where="--folder",
            hint="Copy the folder with deploy.yaml, model and data here: --folder PATH",
        )
    return evaluate if here == there else partial(_elsewhere, there, here)


def _elsewhere(
    there: str, here: str, spec: TrialSpec, progress: Progress | None = None
) -> TrialOutcome:
    """A trial with other paths, told with those of the search."""
    moved = replace(spec, folder=here, config=_replaced(spec.config, there, here))
    outcome = evaluate(moved, progress)
    return replace(
        outcome,
        config=_replaced(outcome.config, here, there),
        sentence=outcome.sentence.replace(here, there),
    )


def _replaced(config: str, old: str, new: str) -> str:
    """A configuration as JSON with the paths below one folder below another."""

    def moved(value: object) -> object:
        if isinstance(value, str):
            inside = value == old or value.startswith(f"{old}/")
            return f"{new}{value[len(old) :]}" if inside else value
        if isinstance(value, dict):
            return {key: moved(inner) for key, inner in value.items()}
        return [moved(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(moved(json.loads(config)))


def _check_same(study: Study, computing: Mapping[str, str]) -> None:
    began = study.computing()
    differing = sorted(
        name for name in {*began, *computing} if began.get(name) != computing.get(name)
    )
    if began and differing:
        told = [
            f"{name} {began.get(name, 'missing')} (here {computing.get(name, 'missing')})"
            for name in differing
            if name != "code"
        ]
        raise StorageError(
            "The search was begun by other versions: "
            f"{', '.join(told) or 'other files of snapq, though the same version'}.",
            where=study.name,
            hint="Install the same versions on all machines.",
        )
