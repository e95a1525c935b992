"""Whether the HTP has a kernel for integer types: `snapq.operators` has the rows."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.operators import NEVER, spec
from snapq.quantization.encodings import QuantType

__all__ = ["FLOAT_FROM", "Legality", "legal", "legal_slope", "weightless"]

FLOAT_FROM = 69
"""The first architecture that runs operators without an integer kernel in fp16 (v69 in part)."""


@dataclass(frozen=True)
class Legality:
    """Whether a combination is legal, and if not why: one clause for the reader."""

    ok: bool
    reason: str = ""


def legal(
    op: str,
    activation: QuantType,
    weight: QuantType,
    architecture: int,
    *,
    depthwise: bool = False,
    per_channel: bool = True,
) -> Legality:
    """Whether a kernel with a constant weight, or scale of a normalization, exists.

    `activation` is the type of the data in and out; the architecture is 73 for v73.
    """
    npu = spec(op).npu
    rows = npu.depthwise if depthwise and npu.depthwise is not None else npu.weighted
    if rows is None:
        return weightless(op, activation, architecture)
    first = rows.get((activation.dtype, weight.dtype), NEVER)
    kind = f"Depthwise{op}" if depthwise else op
    name = f"{kind} with {activation.value} activations and {weight.value} weights"
    if weight is QuantType.INT4 and not per_channel and npu.int4_by_channel:
        return Legality(
            False, f"the NPU has {name} only with one scale for each of several channels"
        )
    if architecture >= first:
        return Legality(True)
    if first == NEVER:
        return Legality(False, f"the NPU has no {name}")
    return Legality(False, f"the NPU has {name} from v{first} on, this is v{architecture}")


def weightless(op: str, activation: QuantType, architecture: int) -> Legality:
    """Whether a kernel for computed inputs exists; arguments as for `legal`."""
    if architecture >= spec(op).npu.data_types.get(activation.dtype, NEVER):
        return Legality(True)
    return Legality(False, f"the NPU has no {op} with {activation.value} activations")


def legal_slope(elements: int | None, activation: QuantType) -> Legality:
    """Whether there is a PRelu of that type with so many slopes, None where they are computed.

    At 16 bits the compiler fails on several.
    """
    if activation is QuantType.UINT8 or elements == 1:
        return Legality(True)
    return Legality(False, f"the NPU has no PRelu with {activation.value} slopes for each channel")
