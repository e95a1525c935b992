"""What a trial loses, and what is known of that and of its time before anything is packaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from snapq.errors import ConfigError, SnapqError
from snapq.evaluation.samples import Dataset
from snapq.graph import io
from snapq.metric_table import drop
from snapq.pipeline.cache import Cache
from snapq.pipeline.evidence.base import Found
from snapq.pipeline.steps import Branch
from snapq.searching.specs import FLOAT
from snapq.stages.base import ESTIMATE, Context, Input, Reads
from snapq.stages.estimating import estimator
from snapq.storage import fingerprint

__all__ = ["Look", "cheap_us", "first", "loss", "one_line"]

_NOISELESS_DB = 100.0
"""SQNR of outputs without any error."""
_READS = Reads((Input.PREVIOUS,), ESTIMATE)


@dataclass(frozen=True)
class Look:
    """What this machine's CPU says of a trial.

    Attributes:
        loss: on some samples; None where it says nothing.
        failure: why it says nothing although it was asked; else empty.
    """

    loss: float | None = None
    failure: str = ""


def loss(found: Found, base: Mapping[str, float]) -> tuple[float, dict[str, Any]]:
    """How much worse than float, and the figures behind it.

    Args:
        found: accuracy, fidelity or answers of one model.
        base: metrics of the float model by name; where one is missing its own counts.

    Raises:
        ConfigError: nothing was compared.
    """
    figures = found.figures
    sqnr = [one.sqnr_db for one in figures.fidelity if not one.behind_cut]
    measures: dict[str, Any] = {}
    if sqnr:
        measures["sqnr_db"] = min(min(sqnr), _NOISELESS_DB)
    own = {one.metric: one.value for one in figures.accuracy if one.label == FLOAT}
    drops: list[float] = []
    for one in figures.accuracy:
        if one.label == FLOAT or one.metric not in own:
            continue
        whole = base.get(one.metric, own[one.metric])
        lost = drop(one.metric, whole, one.value)
        if not drops or lost > max(drops):
            measures |= {"metric": one.metric, "value": one.value, FLOAT: whole}
            measures |= {"samples": one.samples, "where": str(one.where)}
        drops.append(lost)
    shares = [one.share for one in figures.answers]
    if drops:
        return max(drops), measures
    if shares:
        return 1.0 - min(shares), {**measures, "equal_answers": min(shares)}
    if sqnr and not math.isnan(measures["sqnr_db"]):
        return -measures["sqnr_db"], measures
    raise ConfigError(
        "There is nothing to compare with the float model on.",
        where="data.evaluation",
        hint="Name samples there, with labels and a `metric` for a drop of accuracy.",
    )


def cheap_us(
    branches: Sequence[Branch],
    device: str,
    cache: Cache,
    *,
    roughly: bool = False,
    tries: int = 0,
) -> float | None:
    """The estimate of what the last stage left, as it would be packaged; None where there is none.

    Args:
        branches: in front of the package stage, or of the quantize stage.
        device: whose estimate it is.
        cache: keeps it.
        roughly: whether one compile is enough; the package stage finds what is a little faster.
        tries: how many equal forms the package stage estimates.
    """
    branch = next((one for one in branches if device in one.names), None)
    profile = next((one for one in branch.devices if one.name == device), None) if branch else None
    if branch is None or profile is None or not profile.has_estimate:
        return None
    context = Context(_READS, branch.inputs.values(_READS), memo=cache)
    try:
        estimate = estimator(context, profile, roughly=roughly, tries=tries)
        return estimate(io.load(branch.finished[-1].artifact.model)).precise_us
    except SnapqError:  # the package stage says what is wrong
        return None


def first(data: Dataset, count: int) -> Dataset:
    """The first samples of a data set; itself where it has no more."""
    if len(data) <= count:
        return data
    return replace(
        data,
        make=lambda: islice(data, count),
        count=count,
        description=f"the first {count} of {data.description}",
        fingerprint=lambda: fingerprint([data.fingerprint(), count]),
    )


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())
