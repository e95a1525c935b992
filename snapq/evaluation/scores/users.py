"""Metrics that are the user's own: a function a sample, or a class that sees all samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snapq.errors import DataError
from snapq.evaluation.functions import user_code
from snapq.evaluation.samples import Label
from snapq.evaluation.scores.base import Mean, Metric, Outputs

_HINT = "Return one finite number."


def user_metric(name: str, given: Callable[..., Any]) -> Metric:
    """The metric of what `module:name` names.

    A class is made anew for each model, with no arguments; it has `update(outputs, label)`, called
    once a sample, and `compute()`, called at the end. Anything else is called as
    `function(outputs, label)`, and the metric is the mean over the samples.

    Raises:
        DataError: a class lacks one of both, or cannot be made without arguments.
    """
    if not isinstance(given, type):
        return UserMetric(name, given)
    lacking = [word for word in ("update", "compute") if not callable(getattr(given, word, None))]
    if lacking:
        raise DataError(
            f"The class has no `{lacking[0]}`.",
            where=name,
            hint="Give it `update(self, outputs, label)` and `compute(self)`, or name a function "
            "`f(outputs, label)`.",
        )
    with user_code(name):
        return UserClass(name, given())


class UserMetric(Mean):
    """Mean over samples of a function of the user's, called as `function(outputs, label)`."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__()
        self.name = name
        self._function = function

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample."""
        with user_code(self.name):
            result = self._function(dict(outputs), label)
        self.add(_number(result, self.name, f" for {name}" if name else ""))


class UserClass:
    """An object of the user's with `update` and `compute`."""

    def __init__(self, name: str, made: Any) -> None:
        self.name = name
        self.samples = 0
        self._made = made

    def update(self, outputs: Outputs, label: Label | None, name: str | None = None) -> None:
        """Adds one sample; `name` is not used, as errors name the user's line."""
        del name
        with user_code(self.name):
            self._made.update(dict(outputs), label)
        self.samples += 1

    def value(self) -> float:
        """What `compute` gives. Raises `DataError` where there are no samples."""
        if self.samples == 0:
            raise DataError("There are no samples.", where=self.name, hint="Give evaluation data.")
        with user_code(self.name):
            return _number(self._made.compute(), self.name, " by `compute`")


def _number(result: Any, metric: str, where: str) -> float:
    number = np.asarray(result)
    wrong = number.size != 1 or number.dtype.kind not in "biuf"
    if wrong or not np.isfinite(number).all():
        what = f"The metric returned {result!r}"[:200] + f"{where}."
        # The cause tells code that is wrong from a number that too few samples may give.
        cause = TypeError("no number") if wrong else None
        raise DataError(what, where=metric, hint=_HINT) from cause
    return float(number.item())
