"""Times a bundle on one target, or on several at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from snapq.benchmarking.targets.base import Candidate, Measurement
from snapq.benchmarking.targets.resolve import resolve_target
from snapq.bundle.host_schema import BundleHost
from snapq.bundle.read import Bundle
from snapq.bundle.schema import BundleInput, Manifest
from snapq.config import BenchmarkConfig
from snapq.errors import DataError, SnapqError
from snapq.graph.boundary import parted
from snapq.progress import Percent, Progress


def benchmark_bundle(
    bundle: Path, target: str, protocol: BenchmarkConfig, baseline: Path | None, progress: Progress
) -> Measurement:
    """Times a bundle with its first golden input, against the float model where one is given.

    A classical bundle is timed from rows to answers, beside its model for the CPU.

    Raises:
        SnapqError: the bundle is damaged, or the target cannot time models.
    """
    found = resolve_target(target, reporter=progress)
    found.check(protocol)
    candidates = bundle_candidates(Bundle.open(bundle), protocol, baseline)
    with progress.track(f"Benchmark on {target}", 100) as advance:
        return found.measure(candidates, protocol, Percent(advance))


def bundle_candidates(
    bundle: Bundle, protocol: BenchmarkConfig, baseline: Path | None = None
) -> list[Candidate]:
    """What is timed of a bundle: the float model, a classical model for the CPU, the package.

    Raises:
        DataError: there is no golden input to time with.
        StorageError: it is damaged.
    """
    manifest, path = bundle.manifest, bundle.path
    feeds = next(bundle.golden_feeds(), None)
    if feeds is None:
        raise DataError("The bundle carries no golden input to time with.", where=str(path))
    host, asked = manifest.host, None if manifest.host is None else path
    if host is not None:
        feeds = bundle.golden_rows() or made_up_rows(host)
    candidates = [Candidate(manifest.precision, bundle.model, feeds, path, asked, manifest.batch)]
    if host is not None and host.cpu is not None:
        candidates.insert(0, Candidate(host.cpu, path / host.cpu, feeds, answers_of=asked))
    if baseline is not None:
        sample = parted(feeds, manifest.batch)[0]
        floats = feeds if host is not None else float_feeds(manifest, sample)
        candidates.insert(0, Candidate(protocol.baseline, baseline, floats, answers_of=asked))
    return candidates


def benchmark_all(
    bundle: Path,
    targets: Sequence[str],
    protocol: BenchmarkConfig,
    baseline: Path | None,
    progress: Progress,
) -> list[Measurement | SnapqError]:
    """Times a bundle on several targets at once.

    Returns:
        For each target, in order, what was found, or the error that it ended with.
    """
    results: list[Measurement | SnapqError | None] = [None] * len(targets)

    def work(index: int, target: str) -> None:
        try:
            results[index] = benchmark_bundle(bundle, target, protocol, baseline, progress)
        except SnapqError as error:
            results[index] = error

    # Not a pool: its threads would keep the process alive after Ctrl-C. With the process the
    # connections end, and with them what runs on the boards.
    threads = [threading.Thread(target=work, args=item, daemon=True) for item in enumerate(targets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    return [
        result or SnapqError("The benchmark ended without a result.", where=target)
        for result, target in zip(results, targets, strict=True)
    ]


def made_up_rows(host: BundleHost) -> dict[str, np.ndarray]:
    """Rows for a classical bundle that holds none: whole numbers, which each form takes."""
    generator = np.random.default_rng(0)
    return {
        item.name: generator.integers(0, 10, (host.rows, item.columns)).astype(item.dtype)
        for item in host.inputs
    }


def float_feeds(manifest: Manifest, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the float model takes for what its package takes, to time both on the same input."""
    return {item.name: _float_feed(item, feeds[item.name]) for item in manifest.inputs}


def _float_feed(item: BundleInput, codes: np.ndarray) -> np.ndarray:
    values = codes
    if item.encoding is not None:
        steps = codes.astype(np.int64) - item.encoding.zero_point
        values = steps.astype(np.float32) * np.float32(item.encoding.scale)
    if item.permutation is not None:
        values = np.transpose(values, item.permutation)
    if item.image is not None and item.raw:
        # The encoding says what the graph computes with; the model wants the normalized picture.
        shape = [1] * len(item.model.shape)
        shape[item.channel_axis or 0] = -1
        pixels = codes if item.permutation is None else np.transpose(codes, item.permutation)
        mean, std = np.reshape(item.image.mean, shape), np.reshape(item.image.std, shape)
        values = (pixels.astype(np.float64) - mean) / std
    return np.ascontiguousarray(values, dtype=item.model.dtype)
