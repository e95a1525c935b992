"""A case of a pass: a model in, what the pass must do, and the same results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.graph.models import prepared_from


@dataclass(frozen=True)
class Case:
    """A model in ONNX's text form, and the pass that must do the work on it.

    Attributes:
        by: name of the pass.
        claim: what the model has.
        text: the graph; see `tests.graph.models.build`.
        operators: what must come out, in order.
        opset: of the model.
        applies: whether the pass must apply; where not, it must leave the model alone.
    """

    by: str
    claim: str
    text: str
    operators: str
    opset: int = 17
    applies: bool = True


def names(cases: Sequence[Case]) -> list[str]:
    """What pytest calls the cases."""
    return [f"{case.by}: {case.claim}" for case in cases]


def check(case: Case) -> None:
    """Asserts that the pass did the work, or did not, and that the results are the same."""
    prepared, operators = prepared_from(case.text, case.opset)
    assert (case.by in prepared.applied) == case.applies
    assert " ".join(operators) == case.operators
