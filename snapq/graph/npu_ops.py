"""What the NPU runs and what not, told from the graph alone.

The table was measured with one-operator models on onnxruntime-qnn 2.7.0 (QAIRT 2.51.0), HTP v73,
float16; `snapq.qnn` asks the provider itself and is right where the two differ. This is the answer
where the provider is not installed, and the reason and mend per operator where it only says no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from snapq.graph.edits import (
    constant,
    input_at,
    int_attribute,
    ints_attribute,
    rank,
    string_attribute,
)
from snapq.graph.shapes import format_shape, static_shape

MAX_RANK = 5

ACCEPTED = frozenset(
    (
        "Abs Add And ArgMax ArgMin Atan Attention AveragePool BatchNormalization Bernoulli Cast "
        "Ceil Clip Concat Constant Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear "
        "Div Einsum Elu Equal Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu "
        "Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid "
        "HardSwish Identity InstanceNormalization Inverse IsNaN LRN LSTM LayerNormalization "
        "LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool "
        "MaxRoiPool Mean Min Mod Mul Neg Not OneHot Or PRelu Pad Pow QuantizeLinear "
        "RMSNormalization RandomNormalLike RandomUniformLike Range Reciprocal ReduceL2 "
        "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Resize RoiAlign "
        "RotaryEmbedding Round STFT ScatterElements ScatterND Selu Sigmoid Sign "
        "SimplifiedLayerNormalization Sin Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze "
        "Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Where Xor"
    ).split()
)
"""Operators of the standard domain."""

ACCEPTED_MICROSOFT = frozenset(
    (
        "FusedMatMul Gelu QuickGelu MatMulNBits GroupQueryAttention RotaryEmbedding "
        "GatherBlockQuantized SimplifiedLayerNormalization DequantizeLinear QuantizeLinear "
        "QLinearConv QLinearMatMul"
    ).split()
)
"""Operators of the domain com.microsoft."""

_CUT = "Cut the model in front of it and do its work on the CPU."
_TRAIN = "Train the model with another operator, or cut it in front of this one."
_FLOAT_ONLY = "Do this part on the CPU, or write it with float arithmetic."

REJECTED = {
    "NonMaxSuppression": ("the number of boxes that it keeps depends on the data", _CUT),
    "NonZero": ("the size of its output depends on the data", _CUT),
    "Unique": ("the size of its output depends on the data", _CUT),
    "Compress": ("the size of its output depends on the data", _CUT),
    "Loop": (
        "the NPU has no loops",
        "Export the model with the loop unrolled, or cut it in front of the loop.",
    ),
    "Scan": (
        "the NPU has no loops",
        "Export the model with the loop unrolled, or cut it in front of the loop.",
    ),
    "If": (
        "its condition is not known before the model runs",
        "Fix the input that decides it to a number, or export one model for each branch.",
    ),
    "Det": ("the NPU has no matrix decompositions", _CUT),
    "DFT": ("the NPU has no Fourier transform", "Write it as a product with a constant matrix."),
    "DeformConv": ("the NPU has no deformable convolution", _TRAIN),
    "MaxUnpool": ("the NPU cannot undo a pooling", "Use Resize or ConvTranspose."),
    "GlobalLpPool": ("the NPU pools with norms of 1 and 2 only", _TRAIN),
    "ReduceProd": ("the NPU has no product over a dimension", "Use Mul of slices, or logarithms."),
    "IsInf": ("the NPU works with numbers that saturate", "Use Clip in place of this test."),
    "ReverseSequence": ("its order depends on the data", _CUT),
    "DynamicQuantizeLinear": (
        "the model is quantized dynamically",
        "Start from the float model; snapq quantizes it with fixed ranges.",
    ),
    "ConvInteger": (
        "the model is quantized in a form that the NPU does not read",
        "Start from the float model.",
    ),
    "MatMulInteger": (
        "the model is quantized in a form that the NPU does not read",
        "Start from the float model.",
    ),
    "StringNormalizer": ("the NPU has no text", "Do this part on the CPU."),
    "TfIdfVectorizer": ("the NPU has no text", "Do this part on the CPU."),
    "RegexFullMatch": ("the NPU has no text", "Do this part on the CPU."),
    "BitwiseAnd": ("the NPU has no bit arithmetic", _FLOAT_ONLY),
    "BitwiseOr": ("the NPU has no bit arithmetic", _FLOAT_ONLY),
    "BitwiseXor": ("the NPU has no bit arithmetic", _FLOAT_ONLY),
    "BitwiseNot": ("the NPU has no bit arithmetic", _FLOAT_ONLY),
    "BitShift": ("the NPU has no bit arithmetic", _FLOAT_ONLY),
}
"""Reason and mend for operators that stay off the NPU and that no rewrite replaces."""

_CLASSICAL = (
    "the NPU has no operators for decision trees and support vector machines",
    "Express the model with Gemm and element-wise operators.",
)


@dataclass(frozen=True)
class Unsupported:
    """A node that cannot run on the NPU, why, and what to do about it."""

    node: str
    op_type: str
    reason: str
    mend: str


def unsupported(model: ir.Model) -> tuple[Unsupported, ...]:
    """The nodes of the main graph that the NPU cannot run, in graph order."""
    found = []
    for node in model.graph:
        answer = _judge(node)
        if answer is not None:
            found.append(Unsupported(str(node.name), node.op_type, *answer))
    return tuple(found)


def _judge(node: ir.Node) -> tuple[str, str] | None:
    if node.domain == "ai.onnx.ml":
        return _CLASSICAL
    if node.domain == "com.microsoft" and node.op_type not in ACCEPTED_MICROSOFT:
        return f"the NPU provider has no {node.op_type}", "Export with standard ONNX operators."
    if node.domain not in ("", "com.microsoft"):
        return (
            f"'{node.op_type}' is an operator of the custom domain '{node.domain}'",
            "Export the model with standard ONNX operators.",
        )
    if node.domain == "" and node.op_type in REJECTED:
        return REJECTED[node.op_type]
    if node.domain == "" and node.op_type not in ACCEPTED:
        return f"the NPU has no {node.op_type}", _TRAIN
    limit = _LIMITS.get(node.op_type) if node.domain == "" else None
    return _judge_values(node) or (limit(node) if limit is not None else None)


def _judge_values(node: ir.Node) -> tuple[str, str] | None:
    for value in (*node.inputs, *node.outputs):
        if value is None:
            continue
        dims = rank(value)
        if value.dtype == ir.DataType.STRING:
            return f"'{value.name}' holds text", "Do this part on the CPU."
        if value.dtype == ir.DataType.DOUBLE:
            return f"'{value.name}' holds 64-bit floats", "Let the prepare stage convert the model."
        if dims is not None and dims > MAX_RANK:
            return (
                f"'{value.name}' has {dims} dimensions, and the NPU takes {MAX_RANK}",
                "Merge dimensions with Reshape.",
            )
        if constant(value) is None and value.name and static_shape(value) is None:
            return (
                f"the shape {format_shape(value.shape)} of '{value.name}' is not fixed",
                "Give the shapes of all inputs under `model.inputs`.",
            )
    return None


def _pool(node: ir.Node) -> tuple[str, str] | None:
    if any(step != 1 for step in ints_attribute(node, "dilations") or ()):
        return "the NPU pools without dilation", _TRAIN
    if len(node.outputs) > 1 and node.outputs[1].uses():
        return "the NPU gives no indices of maxima", _TRAIN
    return None


def _layer_norm(node: ir.Node) -> tuple[str, str] | None:
    dims = rank(node.inputs[0])
    if dims is not None and int_attribute(node, "axis", -1) % dims != dims - 1:
        return "the NPU normalizes over the last dimension only", "Merge the dimensions by Reshape."
    return None


def _batch_norm(node: ir.Node) -> tuple[str, str] | None:
    dims = rank(node.inputs[0])
    if dims is not None and dims > 4:
        return "the NPU normalizes batches of up to 4 dimensions", "Merge dimensions by Reshape."
    return None


def _conv_transpose(node: ir.Node) -> tuple[str, str] | None:
    if any(step != 1 for step in ints_attribute(node, "dilations") or ()):
        return "the NPU's transposed convolution has no dilation", _TRAIN
    return None


def _pad(node: ir.Node) -> tuple[str, str] | None:
    if string_attribute(node, "mode", "constant") == "wrap":
        return "the NPU does not pad in a circle", "Use Concat of slices."
    if constant(input_at(node, 1)) is None:
        return "its padding depends on the data", _CUT
    return None


def _resize(node: ir.Node) -> tuple[str, str] | None:
    nearest = string_attribute(node, "mode", "nearest") == "nearest"
    place = string_attribute(node, "coordinate_transformation_mode", "half_pixel")
    rounding = string_attribute(node, "nearest_mode", "round_prefer_floor")
    if nearest and place == "asymmetric" and rounding in ("ceil", "round_prefer_floor"):
        return (
            f"the NPU does not resize with asymmetric coordinates and {rounding}",
            "Export the model with `nearest_mode=floor`.",
        )
    return None


def _cumsum(node: ir.Node) -> tuple[str, str] | None:
    if int_attribute(node, "exclusive", 0) or int_attribute(node, "reverse", 0):
        return "the NPU sums forward and inclusively only", _TRAIN
    return None


def _arg_max(node: ir.Node) -> tuple[str, str] | None:
    if int_attribute(node, "select_last_index", 0):
        return "the NPU gives the first of equal maxima", "Export with select_last_index=0."
    return None


def _lp_norm(node: ir.Node) -> tuple[str, str] | None:
    return None if int_attribute(node, "p", 2) == 2 else ("the NPU has the L2 norm only", _TRAIN)


def _grid_sample(node: ir.Node) -> tuple[str, str] | None:
    if string_attribute(node, "mode", "linear") == "cubic":
        return "the NPU does not sample a grid with cubic interpolation", "Use linear mode."
    return None


def _recurrent(node: ir.Node) -> tuple[str, str] | None:
    if "activations" in node.attributes or "clip" in node.attributes:
        return "the NPU has the default activations only", _TRAIN
    if int_attribute(node, "layout", 0):
        return "the NPU takes the time as first dimension", "Export with layout=0."
    if input_at(node, 4) is not None:
        return "the NPU takes sequences of one length", "Leave out sequence_lens."
    return None


def _clip(node: ir.Node) -> tuple[str, str] | None:
    bounds = (input_at(node, 1), input_at(node, 2))
    if any(bound is not None and constant(bound) is None for bound in bounds):
        return "its bounds depend on the data", "Use Min and Max."
    return None


def _mod(node: ir.Node) -> tuple[str, str] | None:
    return ("the NPU has no fmod", _TRAIN) if int_attribute(node, "fmod", 0) else None


_LIMITS: dict[str, Callable[[ir.Node], tuple[str, str] | None]] = {
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "ConvTranspose": _conv_transpose,
    "Pad": _pad,
    "Resize": _resize,
    "CumSum": _cumsum,
    "ArgMax": _arg_max,
    "ArgMin": _arg_max,
    "LpNormalization": _lp_norm,
    "GridSample": _grid_sample,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "Clip": _clip,
    "Mod": _mod,
}
