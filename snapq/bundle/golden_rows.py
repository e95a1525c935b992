"""Golden rows: those of a classical bundle, the answers of ONNX Runtime, and how near is near."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from snapq.bundle.host_schema import BundleAnswers
from snapq.bundle.read import Bundle, golden_file
from snapq.classical.program import Limit, limit_of

__all__ = ["GoldenRows", "golden_rows"]


@dataclass(frozen=True)
class GoldenRows:
    """What a model is asked, and how near its answers must be to ONNX Runtime's.

    Attributes:
        files: paths inside the bundle of `.npz` with rows (`in.NAME`) and answers (`out.NAME`).
        rows: how many there are in all.
        outputs: names of the model's outputs.
        simulated: how near the package comes on the simulator, by output; None where that is
            not known; empty of a model that must give the same answers.
    """

    files: tuple[str, ...]
    rows: int
    outputs: frozenset[str]
    simulated: dict[str, BundleAnswers] | None

    def limit(self, output: str, said: Mapping[str, Any]) -> Limit | None:
        """What is allowed of an output for which a board said this; None where nobody knows."""
        if self.simulated is None:
            return None
        return limit_of(output, said, {n: vars(one) for n, one in self.simulated.items()})


def golden_rows(bundle: Bundle, answers: Iterable[BundleAnswers] | None) -> GoldenRows | None:
    """The golden rows of a classical bundle; None where it has none.

    Args:
        bundle: opened.
        answers: how near the simulated package comes; None: a model that must be the same.
    """
    host = bundle.manifest.host
    if host is None or host.golden is None:
        return None
    count = range(bundle.manifest.golden_samples)
    files = tuple(golden_file(host.golden, number) for number in count)
    near = {} if answers is None else {one.output: one for one in answers} or None
    return GoldenRows(files, len(files) * host.rows, frozenset(host.outputs), near)
