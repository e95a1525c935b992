"""From latencies to figures: summaries, the ratio of medians with its interval, and doubts.

Samples are arrays `[rounds, runs in a turn]` in ms. In a round each candidate has one turn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_RESAMPLES = 1000
_FEW_RUNS = 100
_FEW_ROUNDS = 10
_WIDE = 1.25
_DRIFT = 1.1
_EVEN = 0.01
SLOWED = ("the spread is wide", "the machine changed speed", "the board slowed its clocks down")
"""How reasons begin that a measurement took longer than it need have."""


def speedup(baseline: np.ndarray, candidate: np.ndarray) -> float:
    """Median of the baseline over median of the candidate: above 1 is faster."""
    return float(np.median(baseline) / np.median(candidate))


def speedup_interval(baseline: np.ndarray, candidate: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of `speedup`.

    Whole rounds are drawn, the same ones for both: runs of one turn share the state of the machine
    and so are not independent, and what slows a round down slows both of its turns.

    Returns:
        The interval, or None with fewer than two rounds.
    """
    rounds = len(baseline)
    if rounds < 2:
        return None
    random = np.random.default_rng(0)
    ratios = [
        speedup(baseline[drawn], candidate[drawn])
        for drawn in random.integers(0, rounds, (_RESAMPLES, rounds))
    ]
    return _middle(ratios)


def ratio_interval(before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the median of `after` over that of `before`.

    The two were taken at different times, so the rounds of each are drawn by themselves.

    Returns:
        The interval, or None where one has fewer than two rounds.
    """
    if min(len(before), len(after)) < 2:
        return None
    random = np.random.default_rng(0)
    ratios = [
        speedup(
            after[random.integers(0, len(after), len(after))],
            before[random.integers(0, len(before), len(before))],
        )
        for _ in range(_RESAMPLES)
    ]
    return _middle(ratios)


def _middle(ratios: list[float]) -> tuple[float, float]:
    """Bounds of the middle 95 %."""
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def no_claim(samples: np.ndarray) -> Iterator[str]:
    """Why measured samples support no claim, half a sentence each; nothing where they do."""
    rounds, runs = samples.shape[0], samples.size
    median, p90 = np.percentile(samples, [50, 90])
    if runs < _FEW_RUNS:
        yield f"only {runs} runs, and p99 needs {_FEW_RUNS}"
    if p90 > _WIDE * median > 0:
        yield f"the spread is wide, p90 is {p90 / median:.2f} times the median"
    if rounds >= _FEW_ROUNDS:
        early, late = np.median(samples[: rounds // 2]), np.median(samples[rounds // 2 :])
        if max(early, late) > _DRIFT * min(early, late):
            yield (
                f"the machine changed speed, the median went from {early:.3g} ms in the first "
                f"half to {late:.3g} ms in the second"
            )


def doubts(label: str, samples: np.ndarray) -> Iterator[str]:
    """Sentences about what makes these samples weak evidence, beside what `no_claim` says."""
    rounds = samples.shape[0]
    if rounds < _FEW_ROUNDS:
        yield f"{label}: only {rounds} rounds; the interval needs {_FEW_ROUNDS} to mean much."


def uneven_counts(label: str, samples: np.ndarray) -> Iterator[str]:
    """A sentence where runs that were counted differ by more than counts do."""
    spread = float(np.ptp(samples) / np.median(samples)) if np.median(samples) > 0 else 0.0
    if spread > _EVEN:
        yield (
            f"{label}: the counts of its runs differ by {spread:.1%}, where a count repeats to a "
            "thousandth: its work depends on more than the input."
        )
