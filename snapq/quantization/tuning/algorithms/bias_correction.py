"""Bias correction from data: what rounding adds to the mean of an output, its bias takes away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snapq.quantization.calibration.moments import Moments
from snapq.quantization.encodings import Encoding, dequantize, quantize
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.layers import Layer

__all__ = ["correct_biases", "corrected"]

_NAME = "bias-correction"


@register(_NAME, Stage.BIAS)
def correct_biases(study: Study) -> Study | None:
    """Moves each bias by the mean of `W x - R q`: float weights and inputs less quantized ones.

    Each layer is corrected for its own rounding and that of its input's encoding alone, so that no
    error is corrected twice. Needs only the mean input of each layer.

    Source: Nagel et al., arXiv:1906.04721, section 4.2, with means from data.
    """
    biased = [name for name, (layer, _) in study.layers.items() if layer.bias is not None]
    found = study.each_layer(biased, (_NAME,), _corrected, second=False)
    return replace(study, tuned={**study.tuned, **found}) if found else None


def _corrected(layer: Layer, encoding: Encoding, moments: Moments) -> dict[str, Tuned]:
    """A layer with plain weights and another bias."""
    integers = quantize(layer.weight, encoding)
    rounded = replace(layer, weight=dequantize(integers, encoding))
    return {_NAME: Tuned(encoding, integers, corrected(layer, rounded, moments))}


def corrected(layer: Layer, rounded: Layer, moments: Moments) -> np.ndarray:
    """The bias, `[O]`, with which a rounded layer gives the mean output of the float layer."""
    assert layer.bias is not None
    x, q = moments.x / moments.count, moments.q / moments.count
    shift = np.einsum("gok,gk->go", layer.matrix, x) - np.einsum("gok,gk->go", rounded.matrix, q)
    return np.asarray(layer.bias + shift.reshape(-1), np.float32)
