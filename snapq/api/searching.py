"""`search`: the frontier between accuracy and time; `open_search` and `pick`: what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.running import RUNS, check
from snapq.config.reading import load
from snapq.errors import ConfigError, StorageError, did_you_mean
from snapq.progress import Nested, Progress, Silent
from snapq.records import SearchRecord, SearchTrialRecord
from snapq.storage import write_text

if TYPE_CHECKING:
    from snapq.searching.ranked import Told

FOLDER, RECORD, PAGE, DATABASE = "search", "search.json", "search.html", "search.sqlite"
OnTrial = Callable[[SearchRecord, SearchTrialRecord], None]


@dataclass(frozen=True, repr=False)
class Search:
    """A search: its folder and all of its trials."""

    folder: Path
    record: SearchRecord

    def __repr__(self) -> str:
        done = len(self.record.trials)
        return f"<Search {self.folder}: {done} trials, {len(self.frontier)} on the frontier>"

    @property
    def frontier(self) -> tuple[SearchTrialRecord, ...]:
        """The trials that no other beats, fastest first."""
        return self.record.frontier

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / PAGE


@public
def search(
    config: str | Path,
    overrides: Sequence[str] = (),
    *,
    trials: int = 100,
    device: str | None = None,
    max_drop: float | None = None,
    max_us: float | None = None,
    max_bytes: int | None = None,
    timeout_s: float | None = None,
    seed: int | None = None,
    sampler: str = "tpe",
    storage: str | None = None,
    runs: str | Path = RUNS,
    random_inputs: bool = False,
    cluster: str | None = None,
    on_trial: OnTrial | None = None,
    progress: Progress | None = None,
) -> Search:
    """Searches what deploy.yaml marks under `search:`, or what its model allows.

    The same call goes on where an earlier one ended; what is done is kept, and every point is an
    artifact of the stage cache. Needs Optuna (`pip install optuna`).

    Args:
        config: path of the deploy.yaml.
        overrides: `key.path=value` items that hold for all points.
        trials: how many there shall be, those of earlier calls among them.
        device: whose estimate counts; the first of the file that has one where not given.
        max_drop: how much a point may lose: of the metric, or -SQNR in dB without a metric.
        max_us: how many estimated microseconds it may take.
        max_bytes: how large what is compiled for the device may be.
        timeout_s: seconds after which no trial begins.
        seed: of the search; that of the file where not given.
        sampler: `tpe`, `nsga-2`, or `random` to compare with.
        storage: URL of a database that several processes share; a file in the run folder where not
            given.
        runs: directory of all runs; the search goes to `NAME/search` in it.
        random_inputs: as for `run`.
        cluster: where the trials are made, as for `run`; as many at once as its workers take.
        on_trial: called with the search and the trial after each.
        progress: as for `run`.

    Returns:
        The search, with its frontier and its page.

    Raises:
        InstallError: Optuna is not installed.
        SnapqError: there is nothing to search, or the first trials all failed.
    """
    from snapq.api.cluster import connected
    from snapq.config.reading.marked import plain
    from snapq.config.reading.secrets import hide
    from snapq.pipeline.cache import Cache
    from snapq.searching import opening, running, storing
    from snapq.searching.on_cluster import Trials
    from snapq.searching.recorded import recorded
    from snapq.searching.sampling import SAMPLERS
    from snapq.searching.trial import Limits

    storing.library()
    if sampler not in SAMPLERS:
        hint = did_you_mean(sampler, SAMPLERS, f"There are {', '.join(SAMPLERS)}.")
        raise ConfigError(f"There is no sampler {sampler!r}.", where="--sampler", hint=hint)
    if trials < 1:
        raise ConfigError("A search has at least one trial.", where="--trials")
    clock, reporter = time.monotonic(), progress or Silent()
    loaded = load(config, overrides)
    setting = check(loaded, random_inputs=random_inputs)
    folder = Path(runs) / loaded.name / FOLDER
    kept = Path(runs) / ".cache"
    url = storage or storing.sqlite(folder / DATABASE)
    study = opening.begun(
        setting,
        url,
        device=opening.device_of(setting, device),
        sampler=sampler,
        seed=loaded.seed if seed is None else seed,
        cache=Cache(kept),
        progress=reporter,
    )
    limits = Limits(max_drop, max_us, max_bytes)
    benchmark = plain(loaded).get("benchmark")
    shown_benchmark = None if benchmark is None else hide(benchmark, loaded.secrets)

    def write() -> SearchRecord:
        record = recorded(study, url, trials, limits, shown_benchmark)
        _write(folder, record)
        return record

    def told(done: Told) -> None:
        record, number = write(), done.outcome.number
        if on_trial is not None:
            on_trial(record, next(one for one in record.trials if one.number == number))

    lost, before = study.take_over(), len(study.told())
    if before or lost:
        reporter.say(_goes_on(before, trials, lost))
    work = running.Work(
        study,
        kept,
        limits,
        trials,
        None if timeout_s is None else clock + timeout_s,
        told,
        reporter.inside() if isinstance(reporter, Nested) else Silent(),
    )
    try:
        with (
            connected(cluster, reporter) as workers,
            reporter.track("Search", max(0, trials - before)) as advance,
        ):
            advance(0)
            if workers is None:
                running.here(work, advance)
            else:
                running.elsewhere(work, Trials(workers), workers.slots, advance)
    finally:  # after Ctrl-C too
        found = Search(folder, write())
        write_search_page(found)
    return found


@public
def open_search(search: str | Path | None = None, *, runs: str | Path = RUNS) -> Search:
    """Opens a search.

    Args:
        search: its folder, the name of the deployment, or its deploy.yaml; the newest where not
            given.
        runs: directory of all runs.

    Raises:
        StorageError: there is no such search.
    """
    from pydantic import ValidationError

    folder = _folder(search, Path(runs))
    path = folder / RECORD
    try:
        return Search(folder, SearchRecord.model_validate_json(path.read_bytes()))
    except (OSError, ValidationError) as error:
        raise StorageError(
            "This is no record of a search.",
            where=str(path),
            hint="The same `snapq search` command writes it anew.",
        ) from error


@public
def pick(
    search: str | Path | Search | None = None,
    *,
    trial: int | None = None,
    max_drop: float | None = None,
    max_us: float | None = None,
    max_bytes: int | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    runs: str | Path = RUNS,
) -> tuple[Path, SearchTrialRecord]:
    """Writes the deploy.yaml of a point of a search; `run` of it makes no stage again.

    Args:
        search: a search, or as for `open_search`.
        trial: the number of the point; or
        max_drop: the fastest that loses at most so much;
        max_us: the best that takes at most so many microseconds;
        max_bytes: the best that is at most so large.
        output: the file; `NAME-trial-NUMBER.yaml` beside the search's deploy.yaml where not given.
        overwrite: whether the file may exist.
        runs: directory of all runs.

    Returns:
        The file, and the point.

    Raises:
        ConfigError: no point keeps what is asked, or the file exists.
        StorageError: there is no such search, or the file cannot be written.
    """
    from snapq.api.shared import refuse_existing
    from snapq.searching.pick import chosen, written

    found = search if isinstance(search, Search) else open_search(search, runs=runs)
    point = chosen(found.record, trial=trial, max_drop=max_drop, max_us=max_us, max_bytes=max_bytes)
    named = f"{found.record.name}-trial-{point.number}.yaml"
    path = Path(found.record.folder) / named if output is None else Path(output)
    refuse_existing(path, overwrite)
    write_text(path, written(found.record, point, path))
    return path, point


def _goes_on(before: int, trials: int, lost: int) -> str:
    """What is said where a search was begun before."""
    if before >= trials:
        return f"All {trials} trials are done; a larger --trials asks for more."
    again = f" What was interrupted comes again: {lost}." if lost else ""
    return f"Goes on: {before} of {trials} trials are done.{again}"


def _write(folder: Path, record: SearchRecord) -> None:
    """Writes the record. Raises `StorageError`."""
    write_text(folder / RECORD, record.model_dump_json(indent=1) + "\n")


@public
def write_search_page(search: Search) -> Path:
    """Writes search.html of a search anew and returns its path. Raises `StorageError`."""
    from snapq.report.search_page import render

    write_text(search.page, render(search.record))
    return search.page


def _folder(search: str | Path | None, runs: Path) -> Path:
    """The folder of a search. Raises `StorageError` where there is none."""
    if search is None:
        found = sorted(runs.glob(f"*/{FOLDER}/{RECORD}"), key=lambda one: one.stat().st_mtime)
        if not found:
            raise StorageError(
                "There is no search here.",
                where=str(runs),
                hint="Begin one with `snapq search DEPLOY.YAML`, or say where with --runs.",
            )
        return found[-1].parent
    path = Path(search)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return runs / load(path).name / FOLDER
    places = [path, path.parent if path.name == RECORD else path / FOLDER, runs / path / FOLDER]
    for place in places:
        if (place / RECORD).is_file():
            return place
    names = [one.parent.parent.name for one in runs.glob(f"*/{FOLDER}/{RECORD}")]
    raise StorageError(
        "There is no such search.",
        where=str(search),
        hint=did_you_mean(str(search), names, f"There are {', '.join(names) or 'none'}."),
    )
