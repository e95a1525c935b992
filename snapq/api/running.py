"""`run`: a deployment from end to end; `open_run`: what it left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.config import DeployConfig, LanguageDeployConfig
from snapq.config.reading import Deployment, load_deployment
from snapq.errors import ConfigError, StorageError
from snapq.progress import Progress, Silent
from snapq.records import RunRecord

if TYPE_CHECKING:
    from snapq.pipeline.inputs import Setting
    from snapq.pipeline.language.setting import LanguageSetting
    from snapq.pipeline.plan import Plan
    from snapq.records.bench import BenchRecord

RUNS = Path("runs")


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its directory and what is in it."""

    folder: Path
    record: RunRecord

    def __repr__(self) -> str:
        from snapq.api.shown import one_line

        return one_line(self.record, self.folder)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from snapq.api.shown import table

        return table(self.record, self.folder)

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path | None:
        """The bundle that goes to the board; None where the run has no package stage."""
        path = self.folder / "bundle"
        return path if path.is_dir() else None

    @property
    def measurements(self) -> tuple[Path, ...]:
        """The JSON files of all figures, one a kind."""
        return tuple(sorted((self.folder / "measurements").glob("*.json")))

    @property
    def benches(self) -> tuple[BenchRecord, ...]:
        """The results of the benchmark with every single latency. Raises `StorageError`."""
        from snapq.records.bench import BenchRecord
        from snapq.storage import storage_errors

        path = self.folder / "measurements" / "benches.json"
        if not path.is_file():
            return ()
        with storage_errors(path):
            return tuple(map(BenchRecord.model_validate, json.loads(path.read_bytes())))

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.record.gates)


@public
def check(config: DeployConfig, *, random_inputs: bool = False) -> Setting:
    """Reads and checks everything that a run of a network would need: model, data, devices.

    Raises:
        SnapqError: what is wrong, where, and a hint.
    """
    from snapq.graph.foreign import explaining
    from snapq.pipeline.inputs import load_setting

    with explaining(config.model.path):
        return load_setting(config, random_inputs=random_inputs)


@public
def validate(
    config: DeployConfig | LanguageDeployConfig | str | Path,
    *,
    random_inputs: bool = False,
    progress: Progress | None = None,
) -> Setting | LanguageSetting:
    """Finds what would fail in a run: reads model, devices and gates, every sample, scores one.

    Args:
        config: what `load` returned, or the path of a deploy.yaml.
        random_inputs: use random inputs where the YAML names no data.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        SnapqError: what is wrong, where, and a hint.
    """
    from snapq.pipeline.samples import read_all

    loaded = _loaded(config)
    if isinstance(loaded, LanguageDeployConfig):
        return _language_setting(loaded, random_inputs)
    setting = check(loaded, random_inputs=random_inputs)
    read_all(setting, progress or Silent())
    return setting


@public
def plan(
    config: DeployConfig | LanguageDeployConfig,
    *,
    runs: str | Path = RUNS,
    random_inputs: bool = False,
) -> Plan:
    """Says what `run` would do and what it would reuse, without doing it.

    Raises:
        SnapqError: what is wrong, where, and a hint.
    """
    from snapq.pipeline.cache import Cache
    from snapq.pipeline.language.plan import plan_language
    from snapq.pipeline.plan import make_plan

    cache = Cache(Path(runs) / ".cache")
    if isinstance(config, LanguageDeployConfig):
        return plan_language(_language_setting(config, random_inputs), cache)
    return make_plan(check(config, random_inputs=random_inputs), cache)


@public
def run(
    config: DeployConfig | LanguageDeployConfig | str | Path,
    *,
    runs: str | Path = RUNS,
    output: str | Path | None = None,
    random_inputs: bool = False,
    fresh: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Runs a deployment from end to end.

    Args:
        config: what `load` returned, or the path of a deploy.yaml.
        runs: directory of all runs; the run goes to `NAME/TIME` in it.
        output: the run directory itself, instead.
        random_inputs: use random inputs where the YAML names no data; every result is marked.
        fresh: compute every stage again.
        cluster: where simulations and compilations are done: `dask://HOST:PORT` of a Dask scheduler
            that runs, or `local:4` for four workers on this machine.
        progress: progress reporter; nothing is shown where not given.

    Returns:
        The run; whether its gates passed is in `passed`.

    Raises:
        SnapqError: what is wrong, where, and a hint; of a run that had begun, the run directory
            keeps the log, whose path is in `log`.
    """
    from snapq.api.cluster import connected
    from snapq.graph.foreign import explaining
    from snapq.pipeline.cache import Cache, in_use
    from snapq.pipeline.inputs import command_line
    from snapq.pipeline.language.run import execute_language
    from snapq.pipeline.run import execute
    from snapq.pipeline.run_directory import new_place, run_folder

    loaded = _loaded(config)
    reporter = progress or Silent()
    place = Path(output) if output else new_place(Path(runs), loaded.name)
    kept = Path(runs) / ".cache"
    cache = Cache(kept, enabled=not fresh)
    with run_folder(place) as folder:
        if isinstance(loaded, LanguageDeployConfig):
            pair = _language_setting(loaded, random_inputs)
            with in_use(kept), connected(cluster, reporter):
                record = execute_language(pair, folder, cache, reporter, command_line())
        else:
            with explaining(loaded.model.path):
                chosen = check(loaded, random_inputs=random_inputs)
                with in_use(kept), connected(cluster, reporter):
                    record = execute(chosen, folder, cache, reporter, command_line())
        write_report(Run(folder, record))
    return Run(place, record)


def _loaded(config: DeployConfig | LanguageDeployConfig | str | Path) -> Deployment:
    if isinstance(config, DeployConfig | LanguageDeployConfig):
        return config
    return load_deployment(config)


def _language_setting(config: LanguageDeployConfig, random_inputs: bool) -> LanguageSetting:
    from snapq.pipeline.language.setting import load_language_setting

    if random_inputs:
        raise ConfigError(
            "A language model is calibrated with text, and not with random inputs.",
            where="--random-inputs",
            hint="Leave the option out; `text.calibration` names the text.",
        )
    return load_language_setting(config)


@public
def open_run(folder: str | Path) -> Run:
    """Opens a finished run.

    Raises:
        StorageError: `folder` is not a run directory, or its run.json cannot be read.
    """
    from snapq.report.load import load_record

    return Run(Path(folder), load_record(Path(folder)))


@public
def latest_run(runs: str | Path = RUNS) -> Path:
    """Returns the newest run directory under `runs`.

    Raises:
        StorageError: there is none.
    """
    from snapq.pipeline.run_directory import latest

    found = latest(Path(runs))
    if found is None:
        raise StorageError(
            "There is no finished run here.", where=str(runs), hint="Name a run directory."
        )
    return found


@public
def find_run(run: str | Path, runs: str | Path = RUNS) -> Path:
    """The directory of a run: a path, `latest`, `latest~1`, `runs/NAME/latest`.

    Raises:
        StorageError: there is no such run.
    """
    from snapq.pipeline.references import resolve_run

    return resolve_run(run, Path(runs))


@public
def find_bundle(bundle: str | Path, runs: str | Path = RUNS) -> Path:
    """The directory of a bundle: itself, or a run that made one, named as for `find_run`.

    Raises:
        StorageError: there is no such run, or it made no bundle.
    """
    from snapq.pipeline.references import resolve_bundle

    return resolve_bundle(bundle, Path(runs))


@public
def write_report(finished: Run) -> Path:
    """Writes report.html of a run anew and returns its path. Raises `StorageError`."""
    from snapq.report.html import render_html
    from snapq.storage import write_text

    write_text(finished.report, render_html(finished.record))
    return finished.report


def quantized_model(folder: Path) -> Path:
    """The Q/DQ model of a run: that of its last stage before the package."""
    record = open_run(folder).record
    stages = [
        stage
        for stage in record.stages
        if stage.name not in ("source", "package")
        if not stage.devices or record.devices[0] in stage.devices
    ]
    return folder / stages[-1].model.path
