"""Which integer types the HTP's kernels take, by operator and architecture.

Source: one-operator models (with int32 bias where there is one), CPU fallback disabled, compiled
and run on the simulator of QAIRT 2.51 (onnxruntime-qnn 2.7.0) for v68, v69, v73, v75, v79, v81 and
v85. A row says from which architecture a combination works; what is in no row does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from snapq.quantization.encodings import QuantType

__all__ = ["FLOAT_FROM", "NEVER", "Legality", "legal", "legal_slope", "weightless"]

FLOAT_FROM = 69
"""The first architecture that runs operators without an integer kernel in fp16 (v69 in part)."""
NEVER = 1000
"""No architecture."""

U8, U16, S8, S16, S4 = (
    QuantType.UINT8,
    QuantType.UINT16,
    QuantType.INT8,
    QuantType.INT16,
    QuantType.INT4,
)


@dataclass(frozen=True)
class Legality:
    """Whether a combination is legal, and why not.

    Attributes:
        ok: whether the kernel exists.
        reason: one clause for the reader where it does not.
    """

    ok: bool
    reason: str = ""


_WEIGHTED: dict[tuple[QuantType, QuantType], int] = {
    (U8, U8): 68,
    (U8, S8): 68,
    (S8, S8): 68,
    (U16, U8): 68,
    (U16, S8): 68,
    (S16, S8): 68,
    (U16, S16): 73,
    (U8, S4): 68,
    (U16, S4): 68,
    (S16, S4): 68,
}
_DEPTHWISE = {
    pair: first for pair, first in _WEIGHTED.items() if pair not in {(S16, S8), (S16, S4)}
}
WEIGHTED: dict[str, dict[tuple[QuantType, QuantType], int]] = {
    "Conv": _WEIGHTED,
    "DepthwiseConv": _DEPTHWISE,
    "ConvTranspose": _WEIGHTED,
    "Gemm": _WEIGHTED,
    "MatMul": _WEIGHTED,
    "LayerNormalization": {(U8, U8): 68, (S8, S8): 68, (U16, U8): 68, (U16, S16): 73},
    "InstanceNormalization": {(U8, U8): 68, (U8, S8): 68, (U16, U8): 68, (U16, S8): 68},
    "RMSNormalization": {(U8, U8): 68, (U16, U8): 68},
}
"""Activation and weight (or scale) type to the first architecture."""

_INT4_PER_CHANNEL = {"Conv", "DepthwiseConv", "ConvTranspose"}
"""With one scale a tensor, int4 weights and a bias are refused."""

_PLAIN: dict[QuantType, int] = {U8: 68, S8: 68, U16: 68, S16: 68}
WEIGHTLESS: dict[str, dict[QuantType, int]] = {
    "LRN": {U8: 68},
    # At 16 bits the simulator's Log is wrong everywhere (SQNR below 0 dB).
    "Log": {U8: 68, S8: 68},
    "MatMul": {U8: 68, S8: 68, U16: 68},
}
"""Activation type to the first architecture, for operators that differ from the plain rule."""


def legal(
    op: str,
    activation: QuantType,
    weight: QuantType,
    architecture: int,
    *,
    per_channel: bool = True,
) -> Legality:
    """Whether a kernel with a constant weight exists.

    Args:
        op: ONNX operator, or `DepthwiseConv`.
        activation: type of the data in and out.
        weight: type of the weight or of a normalization's scale.
        architecture: Hexagon version, 73 for v73.
        per_channel: whether the weight has one scale a channel.
    """
    rows = WEIGHTED.get(op)
    if rows is None:
        return weightless(op, activation, architecture)
    first = rows.get((activation, weight), NEVER)
    name = f"{op} with {activation.value} activations and {weight.value} weights"
    if weight is S4 and not per_channel and op in _INT4_PER_CHANNEL:
        return Legality(False, f"the NPU has {name} only with one scale a channel")
    if architecture >= first:
        return Legality(True)
    if first == NEVER:
        return Legality(False, f"the NPU has no {name}")
    return Legality(False, f"the NPU has {name} from v{first} on, this is v{architecture}")


def weightless(op: str, activation: QuantType, architecture: int) -> Legality:
    """Whether a kernel for computed inputs exists; arguments as for `legal`."""
    first = WEIGHTLESS.get(op, _PLAIN).get(activation, NEVER)
    if architecture >= first:
        return Legality(True)
    return Legality(False, f"the NPU has no {op} with {activation.value} activations")


def legal_slope(elements: int | None, activation: QuantType) -> Legality:
    """Whether there is a PRelu of that type; at 16 bits the compiler fails on several slopes.

    Args:
        elements: number of slopes; None where they are computed.
        activation: type of the data and the slopes.
    """
    if activation is U8 or elements == 1:
        return Legality(True)
    return Legality(False, f"the NPU has no PRelu with {activation.value} slopes for each channel")
