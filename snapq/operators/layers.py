"""Layers with weights: convolutions, matrix products, attention, recurrent cells."""

from __future__ import annotations

from functools import partial

from snapq.operators import macs
from snapq.operators.spec import (
    NEVER,
    S4,
    S8,
    S16,
    U8,
    U16,
    Encodings,
    Family,
    Npu,
    OpSpec,
    Role,
    Trait,
    lacking,
    rows,
)

__all__ = ["SPECS"]

D, W, B, OTHER = Role.DATA, Role.WEIGHT, Role.BIAS, Role.OTHER
_WEIGHTED = {
    types: first
    for first, pairs in (
        (68, ((U8, U8), (U8, S8), (U8, S4), (S8, S8), (U16, U8), (U16, S8), (U16, S4))),
        (68, ((S16, S8), (S16, S4))),
        (73, ((U16, S16),)),
    )
    for types in pairs
}
_DEPTHWISE = {
    types: first for types, first in _WEIGHTED.items() if types not in {(S16, S8), (S16, S4)}
}
_CONV = Npu(weighted=_WEIGHTED, depthwise=_DEPTHWISE, int4_by_channel=True, second_8bit_below=73)
_FINITE = frozenset({Trait.FINITE})
_layer = partial(
    OpSpec, traits=_FINITE | {Trait.SUMS_CHANNELS, Trait.SCALABLE}, encodings=Encodings.OWN
)
_OF_ONNX_RUNTIME = Npu(("com.microsoft",))
_INTEGERS = lacking(
    "the model is quantized in a form that the NPU does not read", "Start from the float model."
)

SPECS: dict[str, OpSpec] = {
    "Conv": _layer(
        Family.CONV, (D, W, B), channel_axis=1, weight_axis=0, macs=macs.conv, npu=_CONV
    ),
    "ConvTranspose": _layer(
        Family.CONV,
        (D, W, B),
        channel_axis=1,
        weight_axis=1,
        macs=macs.conv_transpose,
        npu=Npu(weighted=_WEIGHTED, int4_by_channel=True, second_8bit_below=73),
    ),
    "DeformConv": OpSpec(
        Family.CONV, (D, W, D, B), npu=lacking("the NPU has no deformable convolution")
    ),
    "Gemm": _layer(
        Family.GEMM,
        (D, W, B),
        channel_axis=-1,
        weight_axis=1,
        macs=macs.gemm,
        npu=Npu(weighted=_WEIGHTED, second_8bit_below=73),
    ),
    # Two computed inputs of 16 bits: the provider converts the second to 8 bits on every
    # architecture (measured on v73 and v75 too); done here, the conversion is in the model.
    "MatMul": _layer(
        Family.GEMM,
        (D, W),
        channel_axis=-1,
        weight_axis=-1,
        macs=macs.matmul,
        npu=Npu(weighted=_WEIGHTED, data_types={U8: 68, S8: 68, U16: 68}, second_8bit_below=NEVER),
    ),
    "Einsum": OpSpec(
        Family.GEMM,
        (D, D),
        traits=_FINITE,
        encodings=Encodings.OWN,
        macs=macs.einsum,
        npu=Npu(second_8bit_below=73),
    ),
    "FusedMatMul": OpSpec(
        Family.GEMM, (D, D), traits=_FINITE, macs=macs.matmul, npu=_OF_ONNX_RUNTIME
    ),
    "MatMulNBits": OpSpec(Family.GEMM, (D, W), npu=_OF_ONNX_RUNTIME),
    "ConvInteger": OpSpec(Family.INTEGER, (D, W), macs=macs.conv, npu=_INTEGERS),
    "MatMulInteger": OpSpec(Family.INTEGER, (D, W), macs=macs.matmul, npu=_INTEGERS),
    **rows(
        "QLinearConv QLinearMatMul",
        OpSpec(Family.INTEGER, (D, OTHER, OTHER, W), npu=_OF_ONNX_RUNTIME),
    ),
    # Attention-23; MultiHeadAttention and GroupQueryAttention are ONNX Runtime's.
    "Attention": OpSpec(Family.ATTENTION, (D, D, D), traits=_FINITE, macs=macs.attention),
    "MultiHeadAttention": OpSpec(Family.ATTENTION, (D, D, D), macs=macs.attention, npu=lacking()),
    "GroupQueryAttention": OpSpec(Family.ATTENTION, (D, D, D), npu=_OF_ONNX_RUNTIME),
    "RotaryEmbedding": OpSpec(Family.ATTENTION, (D, D, D), npu=Npu(("", "com.microsoft"))),
    **rows("LSTM GRU", OpSpec(Family.RECURRENT, (D, W, W, B), macs=macs.recurrent)),
    "RNN": OpSpec(Family.RECURRENT, (D, W, W, B), macs=macs.recurrent, npu=lacking()),
}
