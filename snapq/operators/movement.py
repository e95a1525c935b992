"""Operators that put elements elsewhere: shapes, slices, gathers, joins, padding, resampling."""

from __future__ import annotations

from snapq.operators import macs
from snapq.operators.spec import TAKEN, Encodings, Family, Npu, OpSpec, Role, Trait, lacking, rows

__all__ = ["SPECS"]

D, SHAPE, AXES, INDICES, OTHER = Role.DATA, Role.SHAPE, Role.AXES, Role.INDICES, Role.OTHER
_MOVES = frozenset({Trait.MOVES, Trait.KEEPS_SIGN, Trait.KEEPS_FINITE})
_RESHAPES = _MOVES | {Trait.RESHAPES}
_ALONG = _MOVES | {Trait.HAS_AXIS}


def _move(
    *roles: Role,
    traits: frozenset[Trait] = _MOVES,
    encodings: Encodings | None = Encodings.SHARED,
    npu: Npu = TAKEN,
) -> OpSpec:
    return OpSpec(
        Family.MOVEMENT, (D, *roles), traits=traits, encodings=encodings, macs=macs.nothing, npu=npu
    )


SPECS: dict[str, OpSpec] = {
    "Identity": _move(traits=_MOVES | {Trait.ELEMENTWISE, Trait.KEEPS_FACTOR}),
    "Reshape": _move(SHAPE, traits=_RESHAPES | {Trait.KEEPS_FACTOR}),
    "Flatten": _move(traits=_RESHAPES | {Trait.KEEPS_FACTOR}),
    **rows("Squeeze Unsqueeze", _move(AXES, traits=_RESHAPES)),
    "Transpose": _move(),
    **rows("Expand Tile", _move(SHAPE)),
    "Slice": _move(SHAPE, SHAPE, AXES, SHAPE),
    "Split": _move(SHAPE, traits=_ALONG),
    "Concat": OpSpec(
        Family.MOVEMENT,
        (),
        rest=D,
        traits=_ALONG | {Trait.VARIADIC},
        encodings=Encodings.JOINED,
        macs=macs.nothing,
        npu=Npu(max_rank=4),  # of 5, codes of 8 bits in other steps are not converted
    ),
    "Gather": _move(INDICES, traits=_ALONG),
    "GatherElements": _move(INDICES, traits=_ALONG, npu=Npu(max_rank=4)),
    "GatherND": _move(INDICES, encodings=None),
    "GatherBlockQuantized": OpSpec(Family.MOVEMENT, (D, OTHER), npu=Npu(("com.microsoft",))),
    # With `reduction` they add, too.
    "ScatterElements": _move(INDICES, D, traits=_ALONG - {Trait.MOVES}, npu=Npu(max_rank=4)),
    "ScatterND": _move(INDICES, D, traits=_MOVES - {Trait.MOVES}, encodings=None),
    **rows("DepthToSpace SpaceToDepth", _move()),
    "Pad": _move(SHAPE, D, AXES),
    "Trilu": _move(OTHER, encodings=None, npu=lacking()),
    "ReverseSequence": _move(
        OTHER,
        encodings=None,
        npu=lacking(
            "its order depends on the data",
            "Cut the model in front of it (`model.outputs`); what is behind runs on the CPU.",
        ),
    ),
    "CenterCropPad": _move(SHAPE, encodings=None, npu=lacking()),
    "Col2Im": OpSpec(Family.MOVEMENT, (D, SHAPE, SHAPE), npu=lacking()),
    # Interpolation: new elements, in the encoding of the old ones.
    "Resize": OpSpec(Family.MOVEMENT, (D, SHAPE, SHAPE, SHAPE), encodings=Encodings.SHARED),
    "Upsample": OpSpec(Family.MOVEMENT, (D, SHAPE)),  # Upsample-9
    "GridSample": OpSpec(Family.MOVEMENT, (D, D), encodings=Encodings.OWN),
    "AffineGrid": OpSpec(Family.MOVEMENT, (D, SHAPE), npu=lacking()),
}
