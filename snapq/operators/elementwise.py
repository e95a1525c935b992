"""Operators that compute each element from the elements at its place."""

from __future__ import annotations

from snapq.operators import macs
from snapq.operators.spec import (
    S8,
    TAKEN,
    U8,
    Encodings,
    Family,
    FixedRange,
    Npu,
    OpSpec,
    Role,
    Trait,
    lacking,
    rows,
)

__all__ = ["SPECS"]

D, CONDITION, LIMIT = Role.DATA, Role.CONDITION, Role.LIMIT
_OWN, _READ = Encodings.OWN, Encodings.READ
_ELEMENTWISE = frozenset({Trait.ELEMENTWISE})
_BROADCASTS = _ELEMENTWISE | {Trait.BROADCASTS}
_COMMUTES = _BROADCASTS | {Trait.COMMUTATIVE}
_NOT_NEGATIVE = _ELEMENTWISE | {Trait.NOT_NEGATIVE}
_STAYS = frozenset({Trait.KEEPS_SIGN, Trait.KEEPS_FINITE})
_SUMMANDS = _COMMUTES | _STAYS
_SEVERAL = _SUMMANDS | {Trait.VARIADIC}
_FLAT = Npu(max_rank=4)
_NO_BITS = lacking(
    "the NPU has no bit arithmetic", "Do this part on the CPU, or write it with float arithmetic."
)


def _function(
    traits: frozenset[Trait] = _ELEMENTWISE,
    *,
    encodings: Encodings | None = _OWN,
    npu: Npu = TAKEN,
    family: Family = Family.MATH,
) -> OpSpec:
    return OpSpec(family, traits=traits, encodings=encodings, npu=npu)


def _activation(*traits: Trait, encodings: Encodings | None = _OWN, npu: Npu = TAKEN) -> OpSpec:
    return _function(
        _ELEMENTWISE.union(traits), encodings=encodings, npu=npu, family=Family.ACTIVATION
    )


_ARITHMETIC = {
    **rows("Add Mul", OpSpec(Family.ARITHMETIC, (D, D), traits=_SUMMANDS, encodings=_OWN)),
    "Sub": OpSpec(
        Family.ARITHMETIC, (D, D), traits=_BROADCASTS | {Trait.KEEPS_FINITE}, encodings=_OWN
    ),
    "Div": OpSpec(
        Family.ARITHMETIC, (D, D), traits=_BROADCASTS | {Trait.KEEPS_SIGN}, encodings=_OWN
    ),
    "Neg": OpSpec(
        Family.ARITHMETIC, traits=_ELEMENTWISE | {Trait.KEEPS_FINITE}, encodings=_OWN, npu=_FLAT
    ),
    **rows(
        "Max Min",
        OpSpec(Family.ARITHMETIC, rest=D, roles=(), traits=_SEVERAL, encodings=_OWN, npu=_FLAT),
    ),
    **rows("Sum Mean", OpSpec(Family.ARITHMETIC, rest=D, roles=(), traits=_SEVERAL)),
    "Where": OpSpec(
        Family.ARITHMETIC, (CONDITION, D, D), traits=_BROADCASTS | _STAYS, encodings=_OWN
    ),
}
_MATH = {
    "Pow": OpSpec(Family.MATH, (D, D), traits=_BROADCASTS | {Trait.KEEPS_SIGN}, encodings=_OWN),
    "Mod": OpSpec(Family.MATH, (D, D), traits=_BROADCASTS | {Trait.KEEPS_SIGN}),
    **rows("Exp", _function(_NOT_NEGATIVE)),
    "Abs": _function(_NOT_NEGATIVE | {Trait.KEEPS_FINITE}),
    **rows("Ceil Floor Round Sign", _function(_ELEMENTWISE | _STAYS, npu=_FLAT)),
    "Sqrt": _function(_ELEMENTWISE | {Trait.KEEPS_SIGN}, npu=_FLAT),
    "Reciprocal": _function(_ELEMENTWISE | {Trait.KEEPS_SIGN}),
    # At 16 bits the simulator's Log is wrong everywhere (SQNR below 0 dB).
    "Log": _function(npu=Npu(data_types={U8: 68, S8: 68}, better_in_float=True, max_rank=4)),
    **rows("Sin Cos", _function(_ELEMENTWISE | {Trait.FINITE}, npu=_FLAT)),
    "Atan": _function(npu=_FLAT),
    "Asin": _function(npu=lacking()),
    "Tan": _function(encodings=None),
    **rows("Acos Acosh Asinh Atanh Cosh Sinh", _function(encodings=None, npu=lacking())),
    "Erf": _function(_ELEMENTWISE | {Trait.FINITE}, encodings=None, npu=lacking()),
    "Cast": OpSpec(Family.MATH, traits=_ELEMENTWISE | _STAYS, macs=macs.nothing, npu=_FLAT),
    "Dropout": OpSpec(
        Family.RANDOM, traits=_ELEMENTWISE | _STAYS | {Trait.KEEPS_FACTOR}, npu=lacking()
    ),
}
_ACTIVATIONS = {
    # Saturation does their work.
    "Relu": _activation(
        Trait.NOT_NEGATIVE, Trait.KEEPS_FINITE, Trait.KEEPS_FACTOR, encodings=Encodings.CLAMPED
    ),
    "Clip": OpSpec(
        Family.ACTIVATION,
        (D, LIMIT, LIMIT),
        traits=_ELEMENTWISE | {Trait.KEEPS_FACTOR},
        encodings=Encodings.CLAMPED,
        npu=_FLAT,  # of some bounds Max and Min are made
    ),
    "LeakyRelu": _activation(Trait.KEEPS_FACTOR),
    # At 16 bits the compiler fails on several slopes.
    "PRelu": OpSpec(
        Family.ACTIVATION,
        (D, D),
        traits=_ELEMENTWISE | {Trait.KEEPS_FACTOR},
        encodings=_OWN,
        npu=Npu(better_in_float=True),
    ),
    "Softplus": _activation(Trait.NOT_NEGATIVE, npu=_FLAT),
    # The provider wants these encodings at 16 bits (`get_qnn_qdq_config` of onnxruntime sets the
    # same). At 8 bits they are free, and are the same, so that no value that calibration did not
    # meet is cut off.
    "Sigmoid": _activation(
        Trait.NOT_NEGATIVE, Trait.FINITE, npu=Npu(fixed_range=FixedRange(0.0, 1.0))
    ),
    "Tanh": _activation(Trait.FINITE, npu=Npu(fixed_range=FixedRange(-1.0, 1.0), max_rank=4)),
    # At 16 bits it is computed at the scale of Sigmoid whatever the model declares; at 8 bits it is
    # not (HTP simulator of QAIRT 2.51).
    "HardSigmoid": _activation(
        Trait.NOT_NEGATIVE, npu=Npu(fixed_range=FixedRange(0.0, 1.0, above_bits=8), max_rank=4)
    ),
    **rows("Elu HardSwish", _activation(npu=_FLAT)),
    "Swish": _activation(),
    "Gelu": _activation(npu=Npu(("", "com.microsoft"), max_rank=4)),  # Gelu-20, and ONNX Runtime's
    "Selu": _activation(encodings=None, npu=_FLAT),
    "ThresholdedRelu": _activation(encodings=None),
    "QuickGelu": _activation(encodings=None, npu=Npu(("com.microsoft",))),
    **rows("Celu Mish Softsign Shrink", _activation(encodings=None, npu=lacking())),
}
_TRUTH = {
    "Equal": OpSpec(Family.COMPARISON, (D, D), traits=_COMMUTES, encodings=_READ, npu=_FLAT),
    **rows(
        "Greater GreaterOrEqual Less LessOrEqual",
        OpSpec(Family.COMPARISON, (D, D), traits=_BROADCASTS, encodings=_READ, npu=_FLAT),
    ),
    "IsNaN": OpSpec(Family.COMPARISON, traits=_ELEMENTWISE),
    "IsInf": OpSpec(
        Family.COMPARISON,
        traits=_ELEMENTWISE,
        npu=lacking("the NPU works with numbers that saturate", "Use Clip in place of this test."),
    ),
    **rows("And Or Xor", OpSpec(Family.LOGIC, (D, D), traits=_COMMUTES, npu=_FLAT)),
    "Not": OpSpec(Family.LOGIC, traits=_ELEMENTWISE, npu=_FLAT),
    **rows(
        "BitwiseAnd BitwiseOr BitwiseXor",
        OpSpec(Family.LOGIC, (D, D), traits=_COMMUTES, npu=_NO_BITS),
    ),
    "BitwiseNot": OpSpec(Family.LOGIC, traits=_ELEMENTWISE, npu=_NO_BITS),
    "BitShift": OpSpec(Family.LOGIC, (D, D), traits=_BROADCASTS, npu=_NO_BITS),
}
SPECS: dict[str, OpSpec] = {**_ARITHMETIC, **_MATH, **_ACTIVATIONS, **_TRUTH}
