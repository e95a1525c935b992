"""The last choice of a preset: among the last steps that were kept, by the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snapq.errors import SnapqError
from snapq.quantization.tuning.algorithms.base import Study
from snapq.quantization.tuning.output_score import OutputScorer, Runner
from snapq.quantization.tuning.score import Score

__all__ = ["Candidate", "best_of"]


@dataclass(frozen=True)
class Candidate:
    """A study that was kept, the step that led to it, and its score on the CPU."""

    name: str
    study: Study
    score: Score


def best_of(
    runner: Runner | None, scorer: OutputScorer, kept: Sequence[Candidate], held: int
) -> tuple[Candidate, str]:
    """The candidate that ships, by the simulator where it runs, and a note on how it was chosen."""
    by_cpu = _by_cpu(kept, held)
    if runner is None or len(kept) < 2:
        return kept[-1], by_cpu
    try:
        return _best_by(runner, scorer, kept)
    except SnapqError as error:
        if error.transient:
            raise
        return kept[-1], f"{by_cpu} The simulator failed: {error.what}"


def _best_by(
    runner: Runner, scorer: OutputScorer, kept: Sequence[Candidate]
) -> tuple[Candidate, str]:
    """The last candidate, unless the runner finds the one before it or the plain one better.

    None is taken that makes an output, or a group of its channels, clearly worse than the plain one
    leaves it there.
    """
    finalists = [
        (one, scorer.score(one.study.built.model, runner)) for one in (kept[0], *kept[1:][-2:])
    ]
    plain = finalists[0][1]
    fit = [finalists[0], *((one, score) for one, score in finalists[1:] if not score.spoils(plain))]
    best, highest = fit[-1]
    for one, score in reversed(fit[:-1]):
        if score.over(highest).counts:
            best, highest = one, score
    listed = ", ".join(f"{one.name} {score.decibels:.1f} dB" for one, score in finalists)
    return best, f"On the simulator, held-out samples, SQNR at the outputs: {listed}."


def _by_cpu(kept: Sequence[Candidate], held: int) -> str:
    where = f"{held} held-out samples" if held else "the calibration samples (too few to hold out)"
    plain, best = kept[0].score.decibels, kept[-1].score.decibels
    return (
        f"SQNR at the outputs on {where}, on the CPU: {plain:.1f} dB by min-max ranges and "
        f"plain rounding, {best:.1f} dB as it is."
    )
