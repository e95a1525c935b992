"""A second look at a step of a preset, on samples that it was made from.

A few held-out samples judge a dozen steps and more, and of so many some come out ahead by luck: a
classifier's `entropy` ranges by 5 dB on 8 samples, where they lose 6 on 200 others. What is better
than before is so on other samples too. Those that a step was made from favour it, if anything, so
one that loses there was lucky.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice

import onnx_ir as ir

from snapq.quantization.calibration.calibrate import Samples
from snapq.quantization.tuning.algorithms.base import Study
from snapq.quantization.tuning.output_score import LastOpened, OutputScorer
from snapq.quantization.tuning.score import Score

__all__ = ["SecondLook"]

_MOST = 16


class SecondLook:
    """Scores studies on up to 16 samples that calibrate; nothing is run until it is asked.

    Args:
        model: the float model.
        samples: those that calibrate; where there are none, nothing is refused.
        plain: the study without any step.
        opened: keeps open the model that was judged last, which is the next to be looked at here.
    """

    def __init__(self, model: ir.Model, samples: Samples, plain: Study, opened: LastOpened) -> None:
        self._model, self._samples, self._plain = model, samples, plain
        self._opened = opened
        self._last: tuple[Study, Score] | None = None

    def refuses(self, changed: Study, before: Study) -> str | None:
        """Why a step that came out ahead is dropped all the same; None where it is kept.

        It must lose no more than chance explains, and leave each output as near as without any
        step.
        """
        if not self._scorer.samples:
            return None
        now = self._score(changed)
        gain = now.over(self._known(before))
        if not gain.is_no_loss:
            lost = -min(gain.decibels, gain.usual)
            return f"dropped, as the samples that it was made from lose {lost:.1f} dB"
        if now.spoils(self._known(self._plain)):
            return "dropped, as it spoils an output of the samples that it was made from"
        self._last = (changed, now)
        return None

    def _known(self, study: Study) -> Score:
        if self._last is not None and self._last[0] is study:
            return self._last[1]
        return self._first if study is self._plain else self._score(study)

    def _score(self, study: Study) -> Score:
        return self._scorer.score(study.built.model)

    @cached_property
    def _first(self) -> Score:
        return self._score(self._plain)

    @cached_property
    def _scorer(self) -> OutputScorer:
        return OutputScorer(self._model, list(islice(self._samples, _MOST)), self._opened)
