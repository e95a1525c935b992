"""Integers that an input took in the place of real numbers, before its model was rewritten."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

__all__ = ["Codes", "codes_of", "remember_codes"]

_KEY = "snapq.codes"
"""Property of an input: type, scale and zero point of the codes."""


@dataclass(frozen=True)
class Codes:
    """Integers that stand for `(code - zero_point) * scale`."""

    dtype: np.dtype
    scale: float
    zero_point: int

    def real(self, codes: np.ndarray) -> np.ndarray:
        """The real numbers of codes, as float32."""
        shifted = codes.astype(np.float64) - self.zero_point
        return np.asarray(shifted * self.scale, np.float32)


def codes_of(value: ir.Value) -> Codes | None:
    """What an input took before its model was made to take real numbers; None for any other."""
    written = value.metadata_props.get(_KEY)
    if written is None:
        return None
    dtype, scale, zero = written.split()
    return Codes(np.dtype(dtype), float(scale), int(zero))


def remember_codes(value: ir.Value, codes: Codes) -> None:
    """Notes at an input of real numbers which codes it took."""
    value.metadata_props[_KEY] = f"{codes.dtype} {codes.scale!r} {codes.zero_point}"
