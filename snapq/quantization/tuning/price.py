"""Whether a step of a preset that gives nodes more bits is worth its time on the NPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import onnx_ir as ir

from snapq.errors import SnapqError
from snapq.quantization.tuning.algorithms.base import Study
from snapq.quantization.tuning.score import Score

__all__ = ["Price", "Time"]

Time = Callable[[ir.Model], float]
"""Microseconds of a Q/DQ model by the estimate."""

_MOST = 1.01
"""How much of the time without any step a step may take."""
_FOR_A_DECIBEL = 0.0025
"""How much more for each dB that it gains."""
_RUINED = 10.0
"""Below this (dB) a model is of no use, whatever time it takes."""
_MOST_WHERE_RUINED = 1.3


class Price:
    """Compares what a step takes with what the model takes without any."""

    def __init__(self, time: Time | None, plain: Study) -> None:
        self._time, self._start = time, plain

    @cached_property
    def _plain(self) -> float:
        assert self._time is not None
        return self._time(self._start.built.model)

    def refuses(self, changed: Study, before: Score, gained: float) -> str | None:
        """Why a step is dropped that has brought a model nearer to float; None where it is kept.

        It may take 1 % more than the model without any step and a quarter of a percent for each dB
        that it `gained`, or 30 % where what was `before` is ruined.
        """
        if self._time is None:
            return "dropped, as there is no estimate of its time"
        try:
            plain, now = self._plain, self._time(changed.built.model)
        except SnapqError as error:
            if error.transient:
                raise
            return f"dropped, as its time cannot be estimated: {error.what}"
        most = _MOST + _FOR_A_DECIBEL * gained
        if before.decibels < _RUINED:
            most = _MOST_WHERE_RUINED
        if now <= most * plain:
            return None
        return f"dropped, as it takes {now:,.0f} µs by the estimate, {plain:,.0f} without any"
