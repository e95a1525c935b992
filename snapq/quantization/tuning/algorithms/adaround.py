"""AdaRound: each weight rounded up or down, whichever the layer's output prefers."""

from __future__ import annotations

from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.algorithms.gptq import ADAROUND, GPTQ, rounded_study

__all__ = ["learn_rounding"]


@register(ADAROUND, Stage.REFINE)
def learn_rounding(study: Study) -> Study | None:
    """GPTQ, then single weights moved up or down as long as the output gains.

    The objective is AdaRound's; instead of a gradient through a soft rounding, a greedy descent on
    the second moments finds a minimum that no single move improves.

    Sources: Nagel et al., arXiv:2004.10568; Behdin et al., arXiv:2309.01885.
    """
    return rounded_study(study, ADAROUND, GPTQ)
