"""Operators that make one element of several: pools, reductions, searches."""

from __future__ import annotations

from snapq.operators import macs
from snapq.operators.spec import TAKEN, Encodings, Family, Npu, OpSpec, Role, Trait, lacking, rows

__all__ = ["SPECS"]

D, AXES, SHAPE, OTHER = Role.DATA, Role.AXES, Role.SHAPE, Role.OTHER
_OWN, _SHARED, _READ = Encodings.OWN, Encodings.SHARED, Encodings.READ
_AXIS = frozenset({Trait.HAS_AXIS})
_STAYS = frozenset({Trait.KEEPS_SIGN, Trait.KEEPS_FINITE})
_ONE = frozenset({Trait.ONE_IS_KEPT})
_LOOSE = frozenset({Trait.DATA_DEPENDENT_SHAPE})
_CUT = "Cut the model in front of it (`model.outputs`); what is behind runs on the CPU."
_FLAT = Npu(max_rank=4)
_OPEN_SIZE = lacking("the size of its output depends on the data", _CUT)

_POOLS = {
    "MaxPool": OpSpec(
        Family.POOLING, traits=_STAYS | {Trait.KEEPS_FACTOR}, encodings=_SHARED, macs=macs.pool
    ),
    "AveragePool": OpSpec(
        Family.POOLING, traits=_STAYS | {Trait.KEEPS_FACTOR}, encodings=_OWN, macs=macs.pool
    ),
    "LpPool": OpSpec(Family.POOLING, macs=macs.pool),
    **rows(
        "GlobalAveragePool GlobalMaxPool",
        OpSpec(
            Family.POOLING,
            traits=_STAYS | _ONE | {Trait.KEEPS_FACTOR},
            encodings=_OWN,
            macs=macs.input_elements,
        ),
    ),
    "GlobalLpPool": OpSpec(
        Family.POOLING,
        macs=macs.input_elements,
        npu=lacking("the NPU pools with norms of 1 and 2 only"),
    ),
    "MaxRoiPool": OpSpec(Family.POOLING, (D, OTHER)),
    "RoiAlign": OpSpec(Family.POOLING, (D, OTHER, OTHER)),
    "MaxUnpool": OpSpec(
        Family.POOLING,
        (D, OTHER, SHAPE),
        npu=lacking("the NPU cannot undo a pooling", "Use Resize or ConvTranspose."),
    ),
}


def _reduce(*traits: Trait, encodings: Encodings | None = None, npu: Npu = TAKEN) -> OpSpec:
    return OpSpec(
        Family.REDUCTION,
        (D, AXES),
        traits=frozenset(traits),
        encodings=encodings,
        macs=macs.input_elements,
        npu=npu,
    )


_REDUCTIONS = {
    **rows("ReduceMax ReduceMin", _reduce(*_STAYS, *_ONE, encodings=_OWN, npu=_FLAT)),
    "ReduceMean": _reduce(*_STAYS, *_ONE, Trait.KEEPS_FACTOR, encodings=_OWN),
    "ReduceSum": _reduce(*_STAYS, *_ONE, Trait.IGNORES_ZEROS, encodings=_OWN),
    "ReduceProd": _reduce(
        *_ONE,
        Trait.KEEPS_SIGN,
        npu=lacking("the NPU has no product over a dimension", "Use Mul of slices, or logarithms."),
    ),
    # In fp16 a maximum, a Sqrt or a Log is made of them.
    "ReduceL2": _reduce(Trait.NOT_NEGATIVE, Trait.IGNORES_ZEROS, npu=_FLAT),
    "ReduceLogSumExp": _reduce(npu=_FLAT),
    **rows(
        "ReduceL1 ReduceSumSquare", _reduce(Trait.NOT_NEGATIVE, Trait.IGNORES_ZEROS, npu=lacking())
    ),
    "ReduceLogSum": _reduce(npu=lacking()),
    # The sum may come to be larger than calibration saw, and wraps around.
    "CumSum": OpSpec(
        Family.SIGNAL, (D, OTHER), traits=_STAYS, encodings=_OWN, npu=Npu(wraps=True, max_rank=4)
    ),
}
_SEARCHES = {
    **rows(
        "ArgMax ArgMin",
        OpSpec(
            Family.SEARCH,
            traits=_AXIS | {Trait.NOT_NEGATIVE},
            encodings=_READ,
            macs=macs.input_elements,
            npu=_FLAT,
        ),
    ),
    "TopK": OpSpec(Family.SEARCH, (D, SHAPE), traits=_AXIS, macs=macs.input_elements, npu=_FLAT),
    "OneHot": OpSpec(Family.SEARCH, (D, SHAPE, OTHER)),
    "NonMaxSuppression": OpSpec(
        Family.SEARCH,
        (D, D, OTHER),
        traits=_LOOSE,
        npu=lacking("the number of boxes that it keeps depends on the data", _CUT),
    ),
    "NonZero": OpSpec(Family.SEARCH, traits=_LOOSE | {Trait.NOT_NEGATIVE}, npu=_OPEN_SIZE),
    "Unique": OpSpec(Family.SEARCH, traits=_LOOSE, npu=_OPEN_SIZE),
    "Compress": OpSpec(Family.SEARCH, (D, Role.CONDITION), traits=_LOOSE, npu=_OPEN_SIZE),
}
SPECS: dict[str, OpSpec] = {**_POOLS, **_REDUCTIONS, **_SEARCHES}
