"""`compare` two runs, bundles or measurements; `history`: what was measured before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.running import RUNS, Run
from snapq.api.shared import renamed_argument
from snapq.errors import ConfigError

if TYPE_CHECKING:
    from snapq.benchmarking.history.compare import Comparison
    from snapq.comparison.compare import RunComparison
    from snapq.prediction.calibration import Calibration
    from snapq.records.bench import BenchRecord

_MAX_SLOWDOWN = 1.05
_FILES = frozenset({"run.json", "manifest.json", "report.html"})
"""Files that stand for the folder that they are in."""
_OF_MEASUREMENTS = frozenset({"max_slowdown", "max_instructions_growth"})


@public
def compare(
    before: str | Path | Run,
    after: str | Path | Run,
    *,
    max_accuracy_drop: float | None = None,
    max_sqnr_drop: float | None = None,
    max_size_growth: float | None = None,
    max_estimate_growth: float | None = None,
    max_prediction_growth: float | None = None,
    max_added_cpu_nodes: int | None = None,
    max_slowdown: float | None = None,
    max_instructions_growth: float | None = None,
    other_model: bool = False,
    runs: str | Path = RUNS,
) -> Comparison | RunComparison:
    """Compares two runs or bundles, or two measurements of the history.

    Args:
        before: the older one: a run directory, a bundle, `latest`, `latest~1`, what `run` returned,
            or the id of a measurement (or its beginning).
        after: the newer one.
        max_accuracy_drop: by how much a metric may be worse, in its own unit.
        max_sqnr_drop: by how many dB the SQNR of an output may be lower.
        max_size_growth: share by which the bundle and each compiled model may be larger (0.05).
        max_estimate_growth: share by which the estimate of a device may be longer.
        max_prediction_growth: share by which a board's predicted latency may be longer.
        max_added_cpu_nodes: how many nodes more may run on the CPU.
        max_slowdown: how many times the old median a measured one may be; of two measurements 1.05
            where not given.
        max_instructions_growth: share by which the instructions of an emulated board may grow.
        other_model: compare also results of two models, and say so.
        runs: directory of all runs, where `latest` is looked for.

    Returns:
        Both side by side; whether all limits are kept is in `passed`. A figure without a limit is
        not judged.

    Raises:
        ConfigError: there is no such measurement, a limit fits neither, or they are of two models.
        StorageError: a run, a bundle or the history is damaged.
    """
    from snapq.comparison.compare import compare_contents
    from snapq.comparison.contents import is_contents, read_contents
    from snapq.comparison.limits import Limits

    limits = Limits(
        max_accuracy_drop,
        max_sqnr_drop,
        max_size_growth,
        max_estimate_growth,
        max_prediction_growth,
        max_added_cpu_nodes,
        max_slowdown,
        max_instructions_growth,
    )
    folders = [_folder(one, Path(runs)) for one in (before, after)]
    known = [is_contents(folder) for folder in folders]
    if all(known):
        older, newer = map(read_contents, folders)
        return compare_contents(older, newer, limits, other_model=other_model)
    if any(known):
        missing = str((before, after)[known.index(False)])
        raise ConfigError(
            f"{missing!r} is no run directory and no bundle, and the other one is.",
            hint="Compare two runs or bundles, or two measurements of `snapq history`.",
        )
    for name in limits.given.keys() - _OF_MEASUREMENTS:
        raise ConfigError(
            "A measurement has no such figure.", where=name, hint="Compare two run directories."
        )
    return _measurements(str(before), str(after), limits.given, other_model)


def _folder(one: str | Path | Run, runs: Path) -> Path:
    from snapq.pipeline.references import resolve_run

    if isinstance(one, Run):
        return one.folder
    found = resolve_run(one, runs)
    return found.parent if found.is_file() and found.name in _FILES else found


def _measurements(
    before: str, after: str, limits: dict[str, float], other_model: bool
) -> Comparison:
    from snapq.benchmarking.history import store
    from snapq.benchmarking.history.compare import compare as compare_records
    from snapq.records import Origin

    older, newer = store.find(before), store.find(after)
    factor = limits.get("max_slowdown", _MAX_SLOWDOWN)
    if newer.where is Origin.EMULATED and "max_instructions_growth" in limits:
        factor = 1 + limits["max_instructions_growth"]
    return compare_records(older, newer, factor, other_model=other_model)


@public
def import_measurements(
    files: Sequence[str | Path], bundle: str | Path | None = None
) -> tuple[BenchRecord, ...]:
    """Adds what `verify.py` of a bundle measured on other machines to the history.

    Args:
        files: what it wrote; the same file twice is one result.
        bundle: the bundle that was measured: then what is predicted of it stands beside, and the
            results calibrate predictions.

    Returns:
        The results, in the order of the files.

    Raises:
        ConfigError: a measurement is not of the bundle.
        StorageError: a file is no such measurement, the bundle is damaged, or the history cannot be
            written.
    """
    from snapq.benchmarking.history.imported import read_measurement
    from snapq.benchmarking.history.store import remember

    found = tuple(read_measurement(Path(file)) for file in files)
    if bundle is not None:
        from snapq.benchmarking.history.predicted import of_bundle

        found = of_bundle(found, Path(bundle))
    remember(found)
    return found


@public
def history(
    *,
    deployment: str | None = None,
    model: str | None = None,
    stage: str | None = None,
    precision: str | None = None,
    device: str | None = None,
    target: str | None = None,
    data: str | None = None,
    limit: int = 20,
    label: str | None = None,
) -> tuple[BenchRecord, ...]:
    """The newest measurements, newest first.

    Args:
        deployment: of this `name` in deploy.yaml only.
        model: of this model file only, or of a model whose hash (or that of the model as given)
            begins so.
        stage: of models that this stage made only: `source` is the model as given.
        precision: of this precision only, such as `w8a8`.
        device: of boards with this chip only.
        target: of this target only.
        data: calibrated or evaluated on samples whose hash begins so only.
        limit: at most so many.
        label: former name of `precision`.

    Raises:
        ConfigError: the precision is given by both names.
        StorageError: the history is damaged.
    """
    from snapq.benchmarking.history import store
    from snapq.benchmarking.history.wanted import Wanted

    precision = renamed_argument("precision", precision, "label", label)
    wanted = Wanted(deployment, model, stage, precision, device, target, data)
    return store.recent(wanted, limit=limit)


@public
def calibrations(
    devices: Sequence[str], target: str | None = None
) -> tuple[dict[str, Calibration], str | None]:
    """What the history says of predictions, by device: `calibrated on 6 of your measurements`.

    Args:
        devices: names of device profiles.
        target: the board whose measurements count; that with most of them where not given.

    Returns:
        The calibrations of the devices that have enough measurements, and why the history could
        not be read.
    """
    from snapq.benchmarking.history.calibrated import own_measurements

    found = own_measurements(devices, target)
    return dict(found.by_device), found.problem
