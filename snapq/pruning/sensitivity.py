"""How much the model's outputs mind an error behind each group.

Rankings give the error in the layers right behind a cut. Whether that reaches the outputs differs:
an error in an early layer is passed on and grows, one beside a residual hardly shows. So each group
is cut once on trial, and what its cut does to the outputs scales its losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.pruning.groups import Structure
from snapq.pruning.importance import Ranking
from snapq.pruning.statistics import Feeds, Samples
from snapq.pruning.surgery import cut

TRIAL = 0.25
"""Share of a group's channels that is cut on trial, the least important ones."""
SAMPLES = 8
_LEAST = 1e-6
_FARTHEST = 100.0
"""What stands for a divergence that is not a number."""

Outputs = list[npt.NDArray[np.generic]]


def sensitivities(
    structure: Structure,
    rankings: Sequence[Ranking],
    samples: Samples,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Error of the outputs for each unit of loss, by name of the group, from one trial cut each.

    The rankings' losses are those of cuts without repair. Only the first samples are used;
    `progress` is called with the number of groups done.
    """
    feeds = [dict(sample) for sample in islice(samples(), SAMPLES)]
    expected = outputs_of(structure.model, feeds)
    found = {}
    for ranking in rankings:
        count = max(1, round(TRIAL * ranking.group.channels))
        outputs = outputs_of(cut(structure, ranking.order[:count]), feeds)
        local = max(float(ranking.loss[count]), _LEAST)
        found[ranking.group.name] = error(expected, outputs) / local
        if progress is not None:
            progress(1)
    return found


def weigh(rankings: Sequence[Ranking], factors: Mapping[str, float]) -> tuple[Ranking, ...]:
    """The rankings with the loss of each group in the unit of the outputs' error."""
    return tuple(
        replace(ranking, loss=ranking.loss * factors[ranking.group.name]) for ranking in rankings
    )


def error(expected: Sequence[Outputs], found: Sequence[Outputs]) -> float:
    """Mean over samples and outputs of error energy over energy; at most 1 for each."""
    shares = []
    for left, right in zip(expected, found, strict=True):
        for wanted, given in zip(left, right, strict=True):
            reference = wanted.astype(np.float64)
            energy = float(np.square(reference).sum())
            difference = float(np.square(reference - given.astype(np.float64)).sum())
            share = difference / energy if energy else float(difference > 0)
            shares.append(share if share < 1 else 1.0)  # what is not a number counts as lost
    return max(float(np.mean(shares)), _LEAST)


def divergence(expected: Sequence[Outputs], found: Sequence[Outputs]) -> float:
    """Mean over samples of how far the distributions over classes are apart, in nats.

    Outputs `[1, C]` are taken for scores of classes, as in training; other outputs add nothing. An
    error of the same energy costs much more where it moves the answer.
    """
    apart = []
    for left, right in zip(expected, found, strict=True):
        for wanted, given in zip(left, right, strict=True):
            if wanted.ndim != 2 or wanted.shape[1] < 2:
                continue
            truth, guess = _log_softmax(wanted), _log_softmax(given)
            nats = float((np.exp(truth) * (truth - guess)).sum(1).mean())
            apart.append(nats if np.isfinite(nats) else _FARTHEST)
    return float(np.mean(apart)) if apart else 0.0


def _log_softmax(scores: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def outputs_of(model: ir.Model, feeds: Iterable[Feeds]) -> list[Outputs]:
    """What a model gives for each sample, output by output."""
    runnable = CpuModel(model)
    return [list(runnable.run(sample).values()) for sample in feeds]
