"""`benchmark` a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.api.public import public
from snapq.config import BenchmarkConfig
from snapq.errors import ConfigError, SnapqError
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.benchmarking.targets.base import Measurement


@public
def benchmark(
    bundle: str | Path,
    target: str = "local",
    *,
    baseline: str | Path | None = None,
    protocol: BenchmarkConfig | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measures the latency of a bundle on a target.

    Args:
        bundle: a bundle directory.
        target: `local` (this machine's CPU, the portable model), `ssh://user@host:port`, or a
            board of boards.yaml. On a board the bundle is pushed, checked, compared with its
            golden data and run on the NPU; on its CPU only where `protocol.allow` says so.
        baseline: the float model to measure against, interleaved; no speed-up without one.
        protocol: warm-up, runs, duration, repeats, threads, allowed processors: what `benchmark`
            has in deploy.yaml, such as `{"min_runs": 20}`.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: the target is not known.
        StorageError: the bundle is damaged.
        DeviceError: the board cannot be reached, or cannot run the bundle.
    """
    from snapq.benchmarking.history.predicted import with_predictions
    from snapq.benchmarking.history.subject import with_subjects
    from snapq.benchmarking.run import benchmark_bundle

    path, against = Path(bundle), Path(baseline) if baseline is not None else None
    found = benchmark_bundle(
        path, target, _protocol(protocol, target), against, progress or Silent()
    )
    return with_predictions(with_subjects(found, path, against), path)


@public
def benchmark_all(
    bundle: str | Path,
    targets: Sequence[str],
    *,
    baseline: str | Path | None = None,
    protocol: BenchmarkConfig | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Measurement | SnapqError]:
    """Measures a bundle on several targets at once; arguments as `benchmark`.

    Returns:
        For each target, in order, what was found, or the error that it ended with.
    """
    from snapq.benchmarking import run as benchmarking
    from snapq.benchmarking.history.predicted import with_predictions
    from snapq.benchmarking.history.subject import with_subjects

    path, against = Path(bundle), Path(baseline) if baseline is not None else None
    done = benchmarking.benchmark_all(
        path, targets, _protocol(protocol), against, progress or Silent()
    )
    return [
        one
        if isinstance(one, SnapqError)
        else with_predictions(with_subjects(one, path, against), path)
        for one in done
    ]


def _protocol(
    given: BenchmarkConfig | Mapping[str, Any] | None, target: str = "local"
) -> BenchmarkConfig:
    if isinstance(given, BenchmarkConfig):
        return given
    if given is not None and not isinstance(given, Mapping):
        hint = 'Give a mapping such as {"min_runs": 20}.'
        raise ConfigError(f"{given!r} is no protocol.", where="protocol", hint=hint)
    return BenchmarkConfig.model_validate({"target": target, **(given or {})})
