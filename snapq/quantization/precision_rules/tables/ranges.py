"""Outputs whose range is known before any sample is seen.

Source: the provider wants these encodings for 16-bit Sigmoid and Tanh (`get_qnn_qdq_config` of
onnxruntime sets the same). At 8 bits they are free, and are the same, so that no value that
calibration did not meet is cut off. A 16-bit HardSigmoid is computed at the scale of Sigmoid
whatever the model declares (HTP simulator of QAIRT 2.51); at 8 bits it is not.

Two operators do not saturate on the NPU but wrap around, from the largest value to the smallest
(HTP simulator of QAIRT 2.51): LpNormalization at 16 bits, whose values are never beyond -1 and 1,
and CumSum, whose sums may come to be larger than calibration saw.
"""

from __future__ import annotations

import numpy as np

from snapq.quantization.encodings import Encoding, QuantType

__all__ = ["fixed_output", "with_headroom"]

_ZERO_TO_ONE = {"Sigmoid", "Softmax"}
_MINUS_ONE_TO_ONE = {"Tanh"}
_SPARE_CODES = 64
"""Of a 16-bit LpNormalization at either end: the NPU is up to 9 codes off."""
_WRAPPING = {"CumSum"}
_HEADROOM = 2.0


def fixed_output(op: str, dtype: QuantType) -> Encoding | None:
    """The output encoding of an operator with a known range; None where samples decide.

    Sigmoid and Softmax: scale 1/2^bits, zero point at the low end. Tanh: scale 2/2^bits, zero
    point in the middle.
    """
    steps = 2**dtype.bits
    if op in _ZERO_TO_ONE or (op == "HardSigmoid" and dtype.bits > 8):
        return _encoding(dtype, 1.0 / steps, dtype.qmin)
    if op in _MINUS_ONE_TO_ONE:
        return _encoding(dtype, 2.0 / steps, dtype.qmin + steps // 2)
    if op == "LpNormalization" and dtype.bits > 8:
        return _encoding(dtype, 2.0 / (steps - 2 * _SPARE_CODES), dtype.qmin + steps // 2)
    return None


def with_headroom(op: str, limits: tuple[float, float]) -> tuple[float, float]:
    """The range of what an operator gives, twice what was seen where the NPU would wrap around."""
    low, high = limits
    return (low * _HEADROOM, high * _HEADROOM) if op in _WRAPPING else limits


def _encoding(dtype: QuantType, scale: float, zero: int) -> Encoding:
    return Encoding(dtype, np.asarray(scale, np.float32), np.asarray(zero, dtype.numpy))
