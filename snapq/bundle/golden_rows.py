"""Golden rows: those of a classical bundle, the answers of ONNX Runtime, and how near is near."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snapq.bundle.host_schema import BundleAnswers
from snapq.bundle.read import Bundle, golden_file

__all__ = ["SAME", "GoldenRows", "Limit", "golden_rows"]

SAME = 1e-5
"""Of the range of an output: so far the rounding of float32 sums may carry exact models apart."""
_NEAR = 2.0
"""Times the simulator's difference: what other kernels may round otherwise."""
_ROWS = 0.01
"""Of the rows of a model that is not exact: labels that rounding decides."""


@dataclass(frozen=True)
class Limit:
    """How far one output may be from ONNX Runtime's.

    Attributes:
        largest: of labels, how many may be others; else how far a value may be off.
        mean: how far the worst value of a row may be off in the mean; None of labels.
    """

    largest: float
    mean: float | None


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

    def limit(self, output: str, *, labels: bool, rows: int, span: float) -> Limit | None:
        """What is allowed; None where that is not known.

        Args:
            output: its name.
            labels: whether it holds labels.
            rows: how many were compared.
            span: greatest less least value of it.
        """
        if self.simulated is None:
            return None
        known, same = self.simulated.get(output), SAME * max(span, 1.0)
        if known is None or self._exact:
            return Limit(0.0, None) if labels else Limit(same, same)
        if labels:
            wrong = known.rows - known.equal - known.ties
            return Limit(float(wrong + round(_ROWS * rows)), None)
        return Limit(*(max(same, _NEAR * min(one, 1e300)) for one in (known.largest, known.mean)))

    @property
    def _exact(self) -> bool:
        """Whether the simulated package gives the same answers, as trees do."""
        return all(
            one.equal + one.ties == one.rows
            if one.labels
            else one.largest <= SAME * max(one.range, 1.0)
            for one in (self.simulated or {}).values()
        )


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
