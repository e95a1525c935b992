"""Bias correction from data: what rounding adds to the mean of an output, its bias takes away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snapq.quantization.calibration.moments import Moments
from snapq.quantization.encodings import dequantize, quantize
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.layers import Layer

__all__ = ["correct_biases", "corrected"]


@register("bias-correction", Stage.BIAS)
def correct_biases(study: Study) -> Study | None:
    """Moves each bias by the mean of `W x - R q`: float weights and inputs less quantized ones.

    Each layer is corrected for its own rounding and that of its input's encoding alone, so that no
    error is corrected twice. Needs only the mean input of each layer.

    Source: Nagel et al., arXiv:1906.04721, section 4.2, with means from data.
    """
    layers, found = study.layers(), dict[str, Tuned]()
    for name, moments in study.moments(second=False):
        layer, decision = layers[name]
        if layer.bias is None:
            continue
        encoding = study.plain(layer, decision)
        integers = quantize(layer.weight, encoding)
        rounded = replace(layer, weight=dequantize(integers, encoding))
        found[name] = Tuned(encoding, integers, corrected(layer, rounded, moments))
    return replace(study, tuned={**study.tuned, **found}) if found else None


def corrected(layer: Layer, rounded: Layer, moments: Moments) -> np.ndarray:
    """The bias, `[O]`, with which a rounded layer gives the mean output of the float layer."""
    assert layer.bias is not None
    x, q = moments.x / moments.count, moments.q / moments.count
    shift = np.einsum("gok,gk->go", layer.matrix, x) - np.einsum("gok,gk->go", rounded.matrix, q)
    return np.asarray(layer.bias + shift.reshape(-1), np.float32)
