"""`search_worker`: takes part in a search that is kept in a database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from snapq.api.public import public
from snapq.api.running import RUNS
from snapq.errors import ConfigError
from snapq.progress import Nested, Progress, Silent


@dataclass(frozen=True)
class Worked:
    """What a worker did.

    Attributes:
        search: name of the search in the storage.
        done: trials that it did.
        told: trials that are done in all.
        running: trials that others have begun and not told.
    """

    search: str
    done: int
    told: int
    running: int


@public
def search_worker(
    storage: str,
    name: str | None = None,
    *,
    folder: str | Path | None = None,
    trials: int = 100,
    max_drop: float | None = None,
    max_us: float | None = None,
    max_bytes: int | None = None,
    timeout_s: float | None = None,
    runs: str | Path = RUNS,
    progress: Progress | None = None,
) -> Worked:
    """Does trials of a search that `search` began with `storage=`, until so many are done in all.

    Any number of workers, on any machines that reach the storage, do so at once.

    Args:
        storage: URL of the database.
        name: of the search, or of its deployment; the only one of the storage where not given.
        folder: a copy of the folder with deploy.yaml, model and data, where it is not at the same
            place as where the search was begun.
        trials: how many there shall be in all.
        max_drop: as for `search`.
        max_us: as for `search`.
        max_bytes: as for `search`.
        timeout_s: as for `search`.
        runs: directory whose stage cache is used; that of this machine.
        progress: as for `run`.

    Raises:
        InstallError: Optuna, or the driver of the database, is not installed.
        ConfigError: it is not clear which search is meant, or its files are not here.
        StorageError: there is no such search, or it was begun by other versions.
    """
    from snapq.searching import running
    from snapq.searching.trial import Limits
    from snapq.searching.worker import joined, moved_to
    from snapq.stages.artifact import computing

    if trials < 1:
        raise ConfigError("A search has at least one trial.", where="--trials")
    clock, reporter = time.monotonic(), progress or Silent()
    study = joined(storage, name, computing())
    do = moved_to(study, None if folder is None else Path(folder))
    study.take_over()
    before, count = len(study.told()), 0

    def told(_: object) -> None:
        nonlocal count
        count += 1

    work = running.Work(
        study,
        Path(runs) / ".cache",
        Limits(max_drop, max_us, max_bytes),
        trials,
        None if timeout_s is None else clock + timeout_s,
        told,
        reporter.inside() if isinstance(reporter, Nested) else Silent(),
    )
    reporter.say(f"Takes part in {study.name}: {before} of {trials} trials are done.")
    with reporter.track("Trials", max(0, trials - before)) as advance:
        advance(0)
        running.here(work, advance, do)
    return Worked(study.name, count, len(study.told()), study.running())
