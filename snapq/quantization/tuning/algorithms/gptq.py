"""GPTQ, second-order rounding: weights rounded so that the errors of a layer's inputs cancel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from snapq.quantization.calibration.moments import Moments
from snapq.quantization.encodings import Encoding, Floats
from snapq.quantization.granularity import PerAxis
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.algorithms.bias_correction import corrected
from snapq.quantization.tuning.layers import Layer, scales
from snapq.quantization.tuning.rounding import clip_search, damped, rounded, second_order

__all__ = ["ADAROUND", "GPTQ", "round_weights", "rounded_study"]

GPTQ, ADAROUND = "gptq", "adaround"


@register(GPTQ, Stage.WEIGHTS)
def round_weights(study: Study) -> Study | None:
    """Rounds by GPTQ's rule from the second moment of what each layer sees, in closed form.

    Conv (grouped and depthwise too), Gemm and MatMul. Where a layer has a bias, its inputs are
    taken about their mean, and the bias takes up what that leaves (see `bias_correction`). Weights
    of 4 bits have their scales searched first.

    Source: Frantar et al., arXiv:2210.17323.
    """
    return rounded_study(study, GPTQ, ADAROUND)


def rounded_study(study: Study, name: str, other: str) -> Study | None:
    """The study with all layers rounded by an algorithm, by the other too where that is wanted."""
    both = study.known.together.issuperset((name, other))
    names = (name, other) if both else (name,)
    found = study.each_layer(study.layers, names, partial(_rounded, names), second=True)
    return replace(study, tuned={**study.tuned, **found}) if found else None


def _rounded(
    names: Sequence[str], layer: Layer, encoding: Encoding, moments: Moments
) -> dict[str, Tuned]:
    weight = layer.matrix
    moment = moments.qq / moments.count
    if layer.bias is not None:
        mean = moments.q / moments.count
        moment = moment - mean[:, :, None] * mean[:, None, :]
    stable = damped(np.asarray(moment, np.float32), moments.count)
    scale = scales(layer, encoding)
    limit = encoding.dtype.qmax
    if not isinstance(encoding.granularity, PerAxis):
        integers = second_order(weight, stable, scale, -limit, limit)
        tuned = _tuned(layer, encoding, integers, scale, moments)
        return dict.fromkeys(names, tuned)
    if encoding.dtype.bits < 8:
        scale = clip_search(weight, stable, scale, limit)
    found = rounded(weight, stable, scale, limit, move=ADAROUND in names)
    pairs = {GPTQ: found.still, ADAROUND: found.moved or found.still}
    result = {}
    for name in names:
        integers, scale = pairs[name]
        own = replace(encoding, scale=scale.reshape(-1).astype(np.float32))
        result[name] = _tuned(layer, own, integers, scale, moments)
    return result


def _tuned(
    layer: Layer, encoding: Encoding, integers: Floats, scale: Floats, moments: Moments
) -> Tuned:
    """A rounded weight as it is stored, and the bias that goes with it."""
    held = replace(layer, weight=np.asarray(layer.restore(integers * scale), np.float32))
    stored = layer.restore(integers).astype(encoding.dtype.numpy)
    bias = corrected(layer, held, moments) if layer.bias is not None else None
    return Tuned(encoding, stored, bias)
