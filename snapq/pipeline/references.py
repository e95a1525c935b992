"""Names of runs and bundles: `latest`, `latest~1`, `runs/NAME/latest`, or a path."""

from __future__ import annotations

import re
from pathlib import Path

from snapq.bundle import MANIFEST
from snapq.errors import StorageError
from snapq.pipeline.run_directory import finished_runs

_LATEST = re.compile(r"latest(?:~(\d{1,6}))?")
BUNDLE = "bundle"


def resolve_run(text: str | Path, runs: Path) -> Path:
    """The folder that a text names; `latest` and `latest~N` are counted under `runs`.

    In front of `latest` may stand a folder: `runs/NAME/latest` is the newest run of one deployment.
    Behind it may stand what is in the run: `latest/bundle`. What is there by that name is taken as
    it is.

    Raises:
        StorageError: there is no such run.
    """
    path = Path(text)
    if path.exists():
        return path
    for name in (path, *path.parents):
        found = _LATEST.fullmatch(name.name)
        if found is not None:
            return _newest(name.parent, name.name, int(found[1] or 0), runs) / path.relative_to(
                name
            )
    return path


def _newest(parent: Path, name: str, back: int, runs: Path) -> Path:
    """The run that is `back` behind the newest one. Raises `StorageError` where there is none."""
    folder = parent if parent != Path() else runs
    finished = finished_runs(folder)
    if back < len(finished):
        return finished[back]
    what = "There is no finished run here."
    if finished:
        what = f"There is no run `{name}` here: the finished runs number {len(finished)}."
    raise StorageError(
        what,
        where=str(folder),
        hint="Name a run directory, or say with --runs where runs are (runs=…).",
    )


def resolve_bundle(text: str | Path, runs: Path) -> Path:
    """The bundle that a text names: a bundle itself, or that of a run.

    Raises:
        StorageError: there is no such run, or it made no bundle.
    """
    path = resolve_run(text, runs)
    if (path / MANIFEST).is_file() or not (path / "run.json").is_file():
        return path
    if not (path / BUNDLE / MANIFEST).is_file():
        raise StorageError(
            "The run made no bundle.", where=str(path), hint="Add the stage: `- package: {}`."
        )
    return path / BUNDLE
