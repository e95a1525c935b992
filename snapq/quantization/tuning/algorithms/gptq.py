"""GPTQ, second-order rounding: weights rounded so that the errors of a layer's inputs cancel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snapq.quantization.calibration.moments import Moments
from snapq.quantization.encodings import Encoding
from snapq.quantization.granularity import PerAxis
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.algorithms.bias_correction import corrected
from snapq.quantization.tuning.layers import Layer, scales
from snapq.quantization.tuning.rounding import clip_search, damped, rounded, second_order

__all__ = ["round_weights", "rounded_study"]


@register("gptq", Stage.WEIGHTS)
def round_weights(study: Study) -> Study | None:
    """Rounds by GPTQ's rule from the second moment of what each layer sees, in closed form.

    Conv (grouped and depthwise too), Gemm and MatMul. Where a layer has a bias, its inputs are
    taken about their mean, and the bias takes up what that leaves (see `bias_correction`). Weights
    of 4 bits have their scales searched first.

    Source: Frantar et al., arXiv:2210.17323.
    """
    return rounded_study(study, descent=False)


def rounded_study(study: Study, *, descent: bool) -> Study | None:
    """The study with all layers rounded, with `descent` moved while that gains."""
    layers, found = study.layers(), dict[str, Tuned]()
    for name, moments in study.moments(second=True):
        layer, decision = layers[name]
        found[name] = _rounded(layer, study.plain(layer, decision), moments, descent)
    return replace(study, tuned={**study.tuned, **found}) if found else None


def _rounded(layer: Layer, encoding: Encoding, moments: Moments, descent: bool) -> Tuned:
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
    else:
        if encoding.dtype.bits < 8:
            scale = clip_search(weight, stable, scale, limit)
        integers, scale = rounded(weight, stable, scale, limit, move=descent)
        encoding = replace(encoding, scale=scale.reshape(-1).astype(np.float32))
    held = replace(layer, weight=np.asarray(layer.restore(integers * scale), np.float32))
    stored = layer.restore(integers).astype(encoding.dtype.numpy)
    bias = corrected(layer, held, moments) if layer.bias is not None else None
    return Tuned(encoding, stored, bias)
