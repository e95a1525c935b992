"""Gates of what boards are predicted to take."""

from __future__ import annotations

from snapq.pipeline.gates.cost import without_fp16
from snapq.pipeline.gates.evaluated import NOTHING, Evaluated, Verdict
from snapq.records import Origin, PredictionRecord


def latency(most: float, evaluated: Evaluated) -> Verdict:
    """The device with the longest predicted latency; one without a prediction proves nothing."""
    limit = f"at most {most:g} ms"
    found = _of_packages(evaluated)
    if not found:
        return limit, NOTHING, False
    missing = next((one for one in found if one.us is None), None)
    if missing is not None:
        return limit, _none(missing), False
    longest = max(found, key=lambda one: one.us or 0.0)
    text = f"{longest.value} on {longest.device} (predicted, 80 % interval; {longest.basis})"
    assert longest.us is not None
    return limit, text, longest.us / 1000 <= most


def speedup(least: float, evaluated: Evaluated) -> Verdict:
    """The device with the smallest predicted speed-up over the fastest fp16 form."""
    limit = f"at least {least:g}x"
    speedups = [
        one
        for one in evaluated.figures.speedups
        if one.where is Origin.PREDICTED and one.baseline.startswith("fp16")
    ]
    slowest = min(speedups, key=lambda one: one.value, default=None)
    if slowest is None:
        missing = next((one for one in _of_packages(evaluated) if one.us is None), None)
        why = None if missing is None else _none(missing)
        return limit, without_fp16(evaluated) or why or NOTHING, False
    assert slowest.interval is not None
    low, high = slowest.interval
    found = (
        f"{slowest.value:.2f}x ({low:.2f} to {high:.2f}) over {slowest.baseline} on "
        f"{slowest.device} (predicted, 80 % interval)"
    )
    return limit, found, slowest.value >= least


def _none(missing: PredictionRecord) -> str:
    return f"nothing: no prediction for {missing.device}, {missing.reason.rstrip('.')}"


def _of_packages(evaluated: Evaluated) -> list[PredictionRecord]:
    return [one for one in evaluated.figures.predictions if one.label in evaluated.precisions]
