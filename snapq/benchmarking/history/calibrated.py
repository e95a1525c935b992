"""What the history says of predictions: a calibration for each board with enough measurements.

Only what the published latencies can be compared with counts: a whole network on the NPU of a real
board, in burst mode, not slowed down, whose latency had been predicted. Of several measurements of
one model the newest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from snapq.benchmarking.history.store import recent
from snapq.benchmarking.history.wanted import Wanted
from snapq.errors import StorageError
from snapq.prediction.calibration import Calibration, OwnMeasurements, Pair, calibrate
from snapq.records import Origin
from snapq.records.bench import BenchRecord

__all__ = ["of_board", "own_measurements", "pairs"]

_MOST = 500
"""Results of a chip that are looked at, newest first."""


def own_measurements(
    devices: Iterable[str], target: str | None = None, path: Path | None = None
) -> OwnMeasurements:
    """By device, the calibration of one board with this SoC, where it has enough measurements.

    A history that cannot be read calibrates nothing, and the result says why.

    Args:
        devices: names of profiles.
        target: the board that is asked for; where it was not measured, or is none, the board with
            most measured models counts, and the calibration has its name.
        path: the history.
    """
    found = {}
    try:
        for device in devices:
            records = recent(Wanted(device=device), limit=_MOST, path=path)
            calibration = of_board(records, target)
            if calibration is not None:
                found[device] = calibration
    except StorageError as error:
        return OwnMeasurements({}, f"Predictions are not calibrated: {error}")
    return OwnMeasurements(found)


def of_board(records: Sequence[BenchRecord], target: str | None = None) -> Calibration | None:
    """The calibration of the board that is asked for, else of that with most measured models."""
    by_board: dict[str, list[BenchRecord]] = {}
    for record in records:
        by_board.setdefault(record.target.name, []).append(record)
    made = [
        calibration
        for board, measured in by_board.items()
        if (calibration := calibrate(board, pairs(measured))) is not None
    ]
    named = [one for one in made if one.board == target]
    return max(named or made, key=lambda one: one.models, default=None)


def pairs(records: Iterable[BenchRecord]) -> list[Pair]:
    """Predicted and measured of every model, of its newest measurement; newest ones come first."""
    found: dict[str, Pair] = {}
    for record in records:
        if not _counts(record) or record.predicted is None:
            continue
        published = record.predicted.published_us
        if published is not None and record.model.sha256 not in found:
            spread = _published_spread(record)
            measured = record.latency_ms.p50 * 1000
            found[record.model.sha256] = Pair(published, measured, spread)
    return list(found.values())


def _published_spread(record: BenchRecord) -> float:
    predicted = record.predicted
    assert predicted is not None
    return predicted.published_spread or sum(predicted.spread) / 2


def _counts(record: BenchRecord) -> bool:
    """Whether a result is what published latencies are: the NPU of a board at its full clock."""
    return (
        record.where is Origin.MEASURED
        and record.runtime.backend == "htp"
        and record.valid.all_on_npu
        and record.valid.not_throttled
        and record.valid.min_runs_met
        and record.valid.golden_met is not False
        and record.protocol.performance_mode in (None, "burst")
        and record.latency_ms.p50 > 0
    )
