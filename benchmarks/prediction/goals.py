"""What predictions must be worth, and what they are, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.prediction.figures import PRECISIONS, REFERENCE, Board
from benchmarks.prediction.table import RUNTIMES, Entry

__all__ = ["goals"]

OWN = {"float": 0.08, "w8a8": 0.12, "w8a16": 0.12}
"""Largest median error where the estimate is the board's own."""
BY_TRANSFER = 0.20
"""The same by transfer, on each board with at least `ENOUGH_ROWS` public latencies."""
ENOUGH_ROWS = 100
HOLDS = (0.75, 0.90)
"""Of the networks inside of the 80 % interval."""
NETWORKS = 40
ESTIMATED = (REFERENCE, "SA8255P ADP")


@dataclass(frozen=True)
class _Worth:
    """What users get for some networks: the fit of a network's kind, where there is one."""

    errors: Sequence[float]
    inside: Sequence[bool]


def _worth(fits: Mapping[str, Entry]) -> _Worth:
    found: dict[str, tuple[float, bool]] = {}
    for kind in sorted(fits, key=lambda one: one != "any"):
        entry = fits[kind]
        for case, error, inside in zip(
            entry.cases, entry.found.errors, entry.found.inside, strict=True
        ):
            found[case.network] = (float(error), inside)
    errors, held = zip(*found.values(), strict=True)
    return _Worth(errors, held)


def goals(found: Sequence[Entry], rows: Mapping[str, int]) -> Iterator[str]:
    """A table in Markdown of every figure that must hold, beside what it is.

    Args:
        found: all fits.
        rows: how many latencies of each board are public.
    """
    yield "| board | runtime | precision | networks | median error | in the interval | |"
    yield "|---|---|---|---|---|---|---|"
    for board in dict.fromkeys(entry.board for entry in found):
        if rows[board.name] < ENOUGH_ROWS:
            continue
        for runtime in RUNTIMES:
            for precision in PRECISIONS:
                fits = {
                    entry.kind: entry
                    for entry in found
                    if (entry.board, entry.runtime, entry.precision) == (board, runtime, precision)
                }
                if fits:
                    yield _row(board, runtime, precision, _worth(fits))


def _row(board: Board, runtime: str, precision: str, worth: _Worth) -> str:
    own = board.name in ESTIMATED
    most = OWN[precision] if own else BY_TRANSFER
    count, median = len(worth.errors), float(np.median(worth.errors))
    holds = float(np.mean(worth.inside))
    missed = []
    if own and count < NETWORKS:
        missed.append("networks")
    if median > most:
        missed.append("median")
    if not HOLDS[0] <= holds <= HOLDS[1]:
        missed.append("interval")
    wanted = f" (of {NETWORKS})" if own else ""
    return (
        f"| {board.name} | {runtime} | {precision} | {count}{wanted} | {median:.1%} "
        f"(at most {most:.0%}) | {holds:.0%} ({HOLDS[0]:.0%} to {HOLDS[1]:.0%}) | "
        f"{'missed: ' + ', '.join(missed) if missed else 'holds'} |"
    ).replace("%", " %")
