"""Normalizations and softmax."""

from __future__ import annotations

from functools import partial

from snapq.operators.spec import (
    S8,
    S16,
    U8,
    U16,
    Encodings,
    Family,
    FixedRange,
    Npu,
    OpSpec,
    Role,
    Trait,
    lacking,
)

__all__ = ["SPECS"]

D, S, B, OTHER = Role.DATA, Role.SCALE, Role.BIAS, Role.OTHER
_OWN = Encodings.OWN
_AXIS = frozenset({Trait.HAS_AXIS})
_SCALABLE = frozenset({Trait.SCALABLE, Trait.FINITE})
_norm = partial(OpSpec, Family.NORMALIZATION)
_scaled = partial(_norm, traits=_SCALABLE, encodings=_OWN, channel_axis=1)
_over_last = partial(_norm, traits=_SCALABLE | _AXIS, encodings=_OWN, channel_axis=-1)

SPECS: dict[str, OpSpec] = {
    # An int8 scale sends it to the CPU.
    "LayerNormalization": _over_last(
        (D, S, B), npu=Npu(weighted={(U8, U8): 68, (S8, S8): 68, (U16, U8): 68, (U16, S16): 73})
    ),
    # RMSNormalization-23.
    "RMSNormalization": _over_last((D, S), npu=Npu(weighted={(U8, U8): 68, (U16, U8): 68})),
    "InstanceNormalization": _scaled(
        (D, S, B), npu=Npu(weighted={(U8, U8): 68, (U8, S8): 68, (U16, U8): 68, (U16, S8): 68})
    ),
    # Mean and variance are those of the prepare stage, 0 and 1, and stay in float.
    "BatchNormalization": _scaled((D, S, B, OTHER, OTHER)),
    "GroupNormalization": _norm((D, S, B), npu=lacking()),
    "MeanVarianceNormalization": _norm(npu=lacking()),
    "SimplifiedLayerNormalization": _norm((D, S), npu=Npu(("", "com.microsoft"))),
    "LRN": _norm(encodings=_OWN, npu=Npu(data_types={U8: 68})),
    # At 16 bits values wrap around, from the largest to the smallest, and the NPU is up to 9 codes
    # off (simulator of QAIRT 2.51), so that some are left free.
    "LpNormalization": _norm(
        traits=_AXIS | {Trait.FINITE},
        encodings=_OWN,
        npu=Npu(fixed_range=FixedRange(-1.0, 1.0, above_bits=8, spare_codes=64)),
    ),
    "Softmax": OpSpec(
        Family.SOFTMAX,
        traits=_AXIS | {Trait.NOT_NEGATIVE, Trait.FINITE},
        encodings=_OWN,
        npu=Npu(fixed_range=FixedRange(0.0, 1.0, saturates=True, low_is_zero_point=True)),
    ),
    "LogSoftmax": OpSpec(Family.SOFTMAX, traits=_AXIS, encodings=_OWN, npu=Npu(max_rank=4)),
    "Hardmax": OpSpec(Family.SOFTMAX, traits=_AXIS | {Trait.NOT_NEGATIVE}, npu=lacking()),
}
