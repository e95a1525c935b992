"""The table of fits that snapq ships: for each device, precision, runtime and kind of network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.prediction.figures import PRECISIONS, Board, Case, Measured, cases
from benchmarks.prediction.fit import LEAST, TERMS, Call, Validated, call_of, of_kind, validate
from benchmarks.zoo.networks import Network

RUNTIMES = ("onnx", "best")
SOCS = ("qcs9075", "sa8797p", "soc114")
SAME_ESTIMATE = {"sa8255p": "qcs9075"}
"""Devices whose estimate is another one's to the cycle; the table names their own."""
SAME_CALL = {"w8a16": "w8a8"}
"""Precisions with fewer networks, and those whose call takes about as long."""
KINDS = ("convolutional", "transformer")
"""Kinds of networks that have an interval of their own where there are enough of them."""
ENOUGH = 0.8
"""Share of the networks of the chip with most that another chip needs to be compared with it."""


@dataclass(frozen=True)
class Entry:
    """A fit of the table with what it was made of.

    Attributes:
        board: of the figures.
        precision: `float`, `w8a8`, `w8a16`.
        runtime: `onnx` or `best`.
        kind: of network, or `any`.
        soc: the chip whose estimate is read.
        cases: the networks.
        found: the fit.
    """

    board: Board
    precision: str
    runtime: str
    kind: str
    soc: str
    cases: Sequence[Case]
    found: Validated

    def to_json(self, profile: str) -> dict[str, Any]:
        """The entry as it stands in the table, for one profile."""
        line, errors = self.found.line, self.found.errors
        source = profile if SAME_ESTIMATE.get(profile) == self.soc else self.soc
        estimates = [case.estimate_us for case in self.cases]
        return {
            "device": profile,
            "precision": self.precision,
            "runtime": self.runtime,
            "kind": self.kind,
            "from": source,
            "offset_us": round(line.offset_us, 1),
            "factor": round(line.factor, 4),
            **{TERMS[name]: round(value, 3) for name, value in line.terms.items()},
            "low": round(self.found.low, 3),
            "high": round(self.found.high, 3),
            "networks": len(self.cases),
            "median_error": round(float(np.median(errors)), 3),
            "largest_error": round(float(errors.max()), 3),
            "coverage": round(self.found.coverage, 2),
            "estimate_us": [round(min(estimates), 1), round(max(estimates), 1)],
        }


@dataclass(frozen=True)
class _Tried:
    """A chip whose estimate may be read, the networks, and what is known of the call."""

    soc: str
    cases: Sequence[Case]
    call: Call | None


def entries(
    rows: Sequence[dict[str, Any]],
    networks: Sequence[Network],
    figures: Measured,
    boards: Iterable[Board],
) -> Iterator[Entry]:
    """Every fit that has enough networks, from the chip whose estimate predicts it best."""
    for board in boards:
        for precision in PRECISIONS:
            for runtime in RUNTIMES:
                tried = []
                for soc in SOCS:
                    made, beside = (
                        cases(rows, networks, figures, board.name, one, runtime, soc) if one else []
                        for one in (precision, SAME_CALL.get(precision))
                    )
                    if len(made) >= LEAST:
                        call = call_of(beside) if len(beside) >= LEAST else None
                        tried.append(_Tried(soc, made, call))
                yield from _best(board, precision, runtime, tried)


def _best(board: Board, precision: str, runtime: str, tried: Sequence[_Tried]) -> Iterator[Entry]:
    """The fit from the chip with the least error over the networks that all of them know."""
    most = max((len(one.cases) for one in tried), default=0)
    tried = [one for one in tried if len(one.cases) >= ENOUGH * most]
    if own := [one for one in tried if _reads(board, one.soc)]:
        tried = own
    if not tried:
        return
    if len(tried) > 1:
        common = set.intersection(*({case.network for case in one.cases} for one in tried))
        tried = sorted(tried, key=lambda one: _error(one, common))
    soc, made, call = tried[0].soc, tried[0].cases, tried[0].call
    found = validate(made, call)
    yield Entry(board, precision, runtime, "any", soc, made, found)
    for kind in KINDS:
        some = [case for case in made if case.kind == kind]
        if LEAST <= len(some) < len(made):
            yield Entry(
                board, precision, runtime, kind, soc, some, of_kind(found, made, kind, call)
            )


def _error(tried: _Tried, common: set[str]) -> float:
    """The mean error over some networks, each left out, with outliers cut off."""
    found = validate([case for case in tried.cases if case.network in common], tried.call)
    return float(np.mean(np.minimum(found.errors, 0.5)))


def _reads(board: Board, soc: str) -> bool:
    """Whether a chip's estimate is the board's own."""
    return any(SAME_ESTIMATE.get(profile, profile) == soc for profile in board.profiles)
