"""Encodings: how a real number is held by an integer, and the arithmetic between the two.

A real `x` is held as `q = round(x / scale) + zero_point`, saturated to the integer's range, and
read back as `(q - zero_point) * scale`. Rounding is half to even, as in ONNX QuantizeLinear-21.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.quantization.granularity import PER_TENSOR, Granularity, PerAxis, PerBlock, PerTensor

__all__ = [
    "SMALLEST_SCALE",
    "Encoding",
    "Floats",
    "QuantType",
    "asymmetric",
    "broadcast",
    "dequantize",
    "quantize",
    "symmetric",
]

Floats = npt.NDArray[np.float32]

_CACHED = 1 << 15
"""Values that are worked on at once."""
SMALLEST_SCALE = 2.0**-40
"""No scale is below this: a tensor of zeros still has a scale that can be divided by, and a bias
scale (activation scale x weight scale) stays a normal float32."""


class QuantType(Enum):
    """An integer type that can hold quantized values."""

    INT4 = "int4"
    UINT4 = "uint4"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"

    @property
    def bits(self) -> int:
        """Width in bits."""
        return int(self.value.removeprefix("u").removeprefix("int"))

    @property
    def signed(self) -> bool:
        """Whether negative integers can be held."""
        return not self.value.startswith("u")

    @property
    def qmin(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def qmax(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> ir.DataType:
        """The ONNX data type."""
        return ir.DataType[self.name]

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy type that holds it; the 4-bit types are ml_dtypes'."""
        return np.dtype(self.dtype.numpy())

    @classmethod
    def of(cls, dtype: ir.DataType | None) -> QuantType | None:
        """The type of an ONNX data type; None where it does not hold quantized values."""
        return cls.__members__.get(dtype.name) if dtype is not None else None


@dataclass(frozen=True)
class Encoding:
    """How one tensor is held.

    Attributes:
        dtype: the integer type.
        scale: float32; `[]` per tensor, `[C]` per axis; by blocks shaped as the tensor, but shorter
            along the axis that they divide.
        zero_point: integers of `dtype`, shaped as `scale`.
        granularity: which values share a scale.
    """

    dtype: QuantType
    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.generic]
    granularity: Granularity = PER_TENSOR

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoding) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> tuple[str, bytes, bytes, Granularity]:
        """Equal for equal encodings, whatever the tensor."""
        scale, zero = self.scale.tobytes(), self.zero_point.tobytes()
        return self.dtype.value, scale, zero, self.granularity

    @property
    def axis(self) -> int | None:
        """The axis along which scales differ; None for one scale."""
        return None if isinstance(self.granularity, PerTensor) else self.granularity.axis

    @property
    def block(self) -> int:
        """How many indices of the axis share a scale; 0 where scales are not by blocks."""
        return self.granularity.size if isinstance(self.granularity, PerBlock) else 0

    @property
    def minimum(self) -> npt.NDArray[np.float64]:
        """Smallest real number that can be held, shaped as `scale`."""
        return (self.dtype.qmin - self.zero_point.astype(np.float64)) * self.scale

    @property
    def maximum(self) -> npt.NDArray[np.float64]:
        """Largest real number that can be held, shaped as `scale`."""
        return (self.dtype.qmax - self.zero_point.astype(np.float64)) * self.scale


def asymmetric(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    dtype: QuantType,
    granularity: PerTensor | PerAxis = PER_TENSOR,
) -> Encoding:
    """An encoding of `[low, high]`, widened to hold 0, in which 0 is held exactly.

    Both ends are `[]`, or `[C]` with a granularity per axis.
    """
    low64 = np.minimum(np.asarray(low, np.float64), 0.0)
    high64 = np.maximum(np.asarray(high, np.float64), 0.0)
    steps = dtype.qmax - dtype.qmin
    # At 16 bits, Min and Where of the NPU are wrong where one scale is 1 and the other far less.
    scale = _guarded((high64 - low64) / steps, 1.0 / steps)
    zero = np.clip(np.rint(dtype.qmin - low64 / scale), dtype.qmin, dtype.qmax)
    return Encoding(dtype, scale, zero.astype(dtype.numpy), granularity)


def symmetric(
    magnitude: npt.ArrayLike, dtype: QuantType, granularity: PerTensor | PerAxis = PER_TENSOR
) -> Encoding:
    """An encoding of `[-magnitude, magnitude]` with zero point 0.

    The most negative integer is not used, so that a value and its opposite are held alike.

    The magnitude is `[]`, or `[C]` with a granularity per axis; the type is a signed one.
    """
    scale = _guarded(np.asarray(magnitude, np.float64) / dtype.qmax)
    return Encoding(dtype, scale, np.zeros(scale.shape, dtype.numpy), granularity)


def quantize(values: npt.ArrayLike, encoding: Encoding) -> npt.NDArray[np.generic]:
    """Integers of `values` under `encoding`; values outside its range saturate."""
    array = np.asarray(values, np.float32)
    scale, zero = broadcast(encoding, array.ndim)
    if array.ndim and scale.ndim == 0:
        shape, array = array.shape, array.reshape(-1)
        return _in_parts(array, scale, zero, encoding.dtype).reshape(shape)
    if not array.ndim:
        return _in_parts(array.reshape(1), scale, zero, encoding.dtype).reshape(())
    return _in_parts(array, scale, zero, encoding.dtype)


def _in_parts(
    array: Floats,
    scale: npt.NDArray[np.float64],
    zero: npt.NDArray[np.float64],
    dtype: QuantType,
) -> npt.NDArray[np.generic]:
    """Integers, so many at once as stay in a processor's cache."""
    rows = max(1, _CACHED * len(array) // max(array.size, 1))
    result = np.empty(array.shape, dtype.numpy)
    room = np.empty((min(rows, len(array)), *array.shape[1:]))
    many = scale.ndim > 0 and len(scale) > 1
    for start in range(0, len(array), rows):
        part = slice(start, start + rows)
        own = (scale[part], zero[part]) if many else (scale, zero)
        values = array[part]
        result[part] = _integers(values, own[0], own[1], dtype, room[: len(values)])
    return result


def _integers(
    array: Floats,
    scale: npt.NDArray[np.float64],
    zero: npt.NDArray[np.float64],
    dtype: QuantType,
    room: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Whole numbers in `room`, which has the array's shape."""
    # float64: at 32 bits (biases) the quotient needs more than float32's 24 bits.
    np.divide(array, scale, out=room)
    np.rint(room, out=room)
    if zero.any():
        room += zero
    return np.clip(room, dtype.qmin, dtype.qmax, out=room)


def dequantize(integers: npt.NDArray[np.generic], encoding: Encoding) -> npt.NDArray[np.float32]:
    """Real numbers of `integers` under `encoding`."""
    scale, zero = broadcast(encoding, integers.ndim)
    return ((integers.astype(np.float64) - zero) * scale).astype(np.float32)


def broadcast(
    encoding: Encoding, rank: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scale and zero point shaped so that they broadcast over a tensor of that rank."""
    scale = encoding.scale.astype(np.float64)
    zero = encoding.zero_point.astype(np.float64)
    match encoding.granularity:
        case PerTensor():
            return scale.reshape(()), zero.reshape(())
        case PerBlock(axis, size):
            return np.repeat(scale, size, axis), np.repeat(zero, size, axis)
        case PerAxis(axis):
            shape = [1] * rank
            shape[axis] = -1
            return scale.reshape(shape), zero.reshape(shape)


def reduced_axes(shape: Sequence[int], granularity: PerTensor | PerAxis) -> tuple[int, ...]:
    """The axes over which the values that share a scale lie."""
    kept = None if isinstance(granularity, PerTensor) else granularity.axis
    return tuple(i for i in range(len(shape)) if i != kept)


def _guarded(scale: npt.NDArray[np.float64], of_zeros: float = 1.0) -> npt.NDArray[np.float32]:
    """As float32, with scales too small for arithmetic raised; tensors of zeros get `of_zeros`."""
    safe = np.where(scale > 0, np.maximum(scale, SMALLEST_SCALE), of_zeros)
    return np.asarray(safe, np.float32)
