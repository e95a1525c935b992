"""Outputs whose range is known before any sample is seen, or is not all that samples show."""

from __future__ import annotations

import numpy as np

from snapq.operators import spec
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.qdq.groups import within

__all__ = ["computed_right", "fixed_output", "given_out", "with_headroom"]

_HEADROOM = 2.0


def fixed_output(op: str, dtype: QuantType) -> Encoding | None:
    """The output encoding of an operator with a known range; None where samples decide.

    Sigmoid and Softmax: scale 1/2^bits, zero point at the low end. Tanh: scale 2/2^bits, zero
    point in the middle.
    """
    known = spec(op).npu.fixed_range
    if known is None or dtype.bits <= known.above_bits:
        return None
    steps = 2**dtype.bits
    span = known.high - known.low
    scale = span / (steps - 2 * known.spare_codes)
    zero = dtype.qmin + round(-known.low / span * steps)
    return Encoding(dtype, np.asarray(scale, np.float32), np.asarray(zero, dtype.numpy))


def given_out(op: str, dtype: QuantType) -> Encoding | None:
    """The encoding of an operator with a known range whose output leaves the model.

    That of `fixed_output` ends one step below 1, so that no probability of 8 bits is above 0.996.
    Softmax of 8 bits is as right and as fast with a scale of 1/255 (`computed_right`); Sigmoid
    loses 2 dB of 53 by it (simulator of QAIRT 2.51 for v68, v73 and v81), and keeps its own.
    """
    own, known = fixed_output(op, dtype), spec(op).npu.fixed_range
    if own is None or known is None or dtype.bits > 8 or not known.low_is_zero_point:
        return own
    return asymmetric(known.low, known.high, dtype)


def computed_right(op: str, encoding: Encoding) -> bool:
    """Whether the NPU computes an operator of a fixed range right in this output encoding."""
    known = spec(op).npu.fixed_range
    if known is None:
        return True
    if encoding.dtype.bits <= 8:
        return not known.low_is_zero_point or int(encoding.zero_point) == encoding.dtype.qmin
    return known.saturates or within((known.low, known.high), encoding)


def with_headroom(op: str, limits: tuple[float, float]) -> tuple[float, float]:
    """The range of what an operator gives, twice what was seen where the NPU would wrap around."""
    low, high = limits
    return (low * _HEADROOM, high * _HEADROOM) if spec(op).npu.wraps else limits
