"""Operators around the computation: quantizers, constants, control flow, sequences, text."""

from __future__ import annotations

from snapq.operators import macs
from snapq.operators.spec import Family, Npu, OpSpec, Role, Trait, lacking, rows

__all__ = ["SPECS"]

D, SHAPE, OTHER = Role.DATA, Role.SHAPE, Role.OTHER
_LOOSE = frozenset({Trait.DATA_DEPENDENT_SHAPE})
_NO_TEXT = lacking("the NPU has no text", "Do this part on the CPU.")
_CPU = "Cut the model in front of it (`model.outputs`); what is behind runs on the CPU."

SPECS: dict[str, OpSpec] = {
    **rows(
        "QuantizeLinear DequantizeLinear",
        OpSpec(Family.QDQ, (D, OTHER, OTHER), macs=macs.nothing, npu=Npu(("", "com.microsoft"))),
    ),
    "DynamicQuantizeLinear": OpSpec(
        Family.QDQ,
        npu=lacking(
            "the model is quantized dynamically",
            "Start from the float model; snapq quantizes it with fixed ranges.",
        ),
    ),
    # Numbers from shapes and attributes.
    "Constant": OpSpec(Family.CONSTANT, (), macs=macs.nothing),
    "ConstantOfShape": OpSpec(Family.CONSTANT, (SHAPE,), macs=macs.nothing, npu=lacking()),
    "Range": OpSpec(Family.CONSTANT, (SHAPE, SHAPE, SHAPE), macs=macs.nothing),
    **rows(
        "Shape Size",
        OpSpec(
            Family.CONSTANT,
            traits=frozenset({Trait.NOT_NEGATIVE}),
            macs=macs.nothing,
            npu=lacking(),
        ),
    ),
    "EyeLike": OpSpec(Family.CONSTANT, npu=lacking()),
    **rows(
        "BlackmanWindow HannWindow HammingWindow", OpSpec(Family.CONSTANT, (SHAPE,), npu=lacking())
    ),
    "MelWeightMatrix": OpSpec(Family.CONSTANT, (SHAPE, SHAPE), npu=lacking()),
    **rows("RandomNormalLike RandomUniformLike Bernoulli", OpSpec(Family.RANDOM)),
    **rows("RandomNormal RandomUniform", OpSpec(Family.RANDOM, (), npu=lacking())),
    "Multinomial": OpSpec(Family.RANDOM, traits=_LOOSE, npu=lacking()),
    # Signals and matrices.
    "STFT": OpSpec(Family.SIGNAL, (D, SHAPE, OTHER, SHAPE)),
    "DFT": OpSpec(
        Family.SIGNAL,
        (D, SHAPE, SHAPE),
        npu=lacking(
            "the NPU has no Fourier transform, and what snapq writes in its place is for a known "
            "length of real or complex numbers",
            "Write it as a product with a constant matrix.",
        ),
    ),
    "Inverse": OpSpec(Family.SIGNAL),
    "Det": OpSpec(Family.SIGNAL, npu=lacking("the NPU has no matrix decompositions", _CPU)),
    # Control flow, sequences, text.
    **rows(
        "Loop Scan",
        OpSpec(
            Family.CONTROL,
            traits=_LOOSE,
            macs=macs.nothing,
            npu=lacking(
                "the NPU has no loops",
                "Export the model with the loop unrolled, or cut it in front of the loop.",
            ),
        ),
    ),
    "If": OpSpec(
        Family.CONTROL,
        traits=_LOOSE,
        macs=macs.nothing,
        npu=lacking(
            "its condition is not known before the model runs",
            "Fix the input that decides it to a number, or export one model for each branch.",
        ),
    ),
    "SequenceEmpty": OpSpec(Family.SEQUENCE, (), npu=lacking()),
    "SplitToSequence": OpSpec(Family.SEQUENCE, (D, SHAPE), npu=lacking()),
    "SequenceAt": OpSpec(Family.SEQUENCE, (D, SHAPE), npu=lacking()),
    **rows(
        "SequenceConstruct SequenceInsert SequenceErase SequenceLength "
        "ConcatFromSequence Optional OptionalGetElement OptionalHasElement",
        OpSpec(Family.SEQUENCE, npu=lacking()),
    ),
    **rows("StringNormalizer TfIdfVectorizer RegexFullMatch", OpSpec(Family.TEXT, npu=_NO_TEXT)),
    "StringSplit": OpSpec(Family.TEXT, traits=_LOOSE, npu=lacking()),
}
