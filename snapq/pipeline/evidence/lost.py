"""Which outputs, and groups of their channels, a package has lost; a gate fails for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from snapq.evaluation.fidelity import ONE_VALUE, OutputFidelity
from snapq.graph.behind import CHOOSES, gives, names_behind

__all__ = ["what_is_lost"]

_SCORES = ("Sigmoid", "Softmax", "HardSigmoid")
_ABSENT = 1 / 128
"""Scores that never get beyond this say that what they stand for did not occur."""


def what_is_lost(
    results: Sequence[OutputFidelity],
    places: Mapping[str, tuple[str, str]],
    given: Callable[[], ir.Model],
    package: tuple[str, str | None],
    *,
    changed: bool,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is left of what is lost, by the name of the output and its channels, and notes.

    1. One value where float has several, or less than 10 dB over all samples together.
    2. Not where rows may only stand in another order: two detections that change places leave no
       SQNR, however right both are.
    3. Not scores of what the samples do not show.
    4. Of a network that was changed, pruned for example, only what has one value: how far it may be
       from the given one is not for SQNR to say.

    Args:
        results: of each output and group of its channels.
        places: output and channels of each.
        given: loads the model as given; called where something may be lost.
        package: label of the precision, and the device that is simulated; None on the CPU.
        changed: whether a stage changed what the model computes.
    """
    found = [
        one
        for one in results
        if one.collapsed is not None and (one.collapsed == ONE_VALUE or not changed)
    ]
    if not found:
        return {}, ()
    graph = given().graph
    chosen = names_behind(graph, CHOOSES)
    made = {str(value.name): value for node in graph for value in node.outputs}
    lost, notes, reordered = dict[str, str](), list[str](), list[str]()
    for one in found:
        output = places[one.name][0]
        assert one.collapsed is not None
        absent = one.smallest >= 0 and one.largest <= _ABSENT
        if output in chosen:
            reordered.append(output)
        elif not (absent and output in made and gives(made[output], _SCORES)):
            lost[one.name] = one.collapsed
            notes.append(_told(one, *package))
    if reordered:
        notes.append(
            f"{', '.join(dict.fromkeys(reordered))}: which rows there are, and in which order, is "
            "computed (TopK and the like), so that SQNR does not say how good they are. Judge them "
            "by a metric, or cut the model in front of that (docs: detectors)."
        )
    return lost, tuple(notes)


def _told(one: OutputFidelity, label: str, device: str | None) -> str:
    left = f"{one.collapsed} {'is' if one.collapsed == ONE_VALUE else 'are'} left"
    return (
        f"'{one.name}' at {label}{f' on {device}' if device else ''} is lost: {left} of values "
        f"from {one.smallest:.3g} to {one.largest:.3g}. `precision: auto` with a `goal` gives more "
        "bits where they are missing; `gates: {min_sqnr_db: -200}` accepts it."
    )
