"""What the NPU runs and what not, told from the graph alone.

`snapq.operators` has the operators; here is what the NPU asks of the attributes, inputs and shapes
of some of them. The provider itself is asked by `snapq.npu.qnn`, and is right where the two differ:
this is the answer where it is not installed, and the reason and hint where it only says no.

Source: the answers of onnxruntime-qnn 2.7.0 (QAIRT 2.51.0) to one-operator models, HTP v73.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from snapq.graph.edit import constant, input_at, ints_attribute, rank
from snapq.graph.shapes import format_shape, static_shape
from snapq.operators import spec

__all__ = ["Unsupported", "unsupported"]

Answer = tuple[str, str] | None
"""Reason and hint, or None where the NPU takes the node."""

_CUT = "Cut the model in front of it (`model.outputs`); what is behind runs on the CPU."
_TRAIN = "Train the model with another operator, or cut it in front of this one."
_CLASSICAL = (
    "the NPU has no operators for decision trees and support vector machines",
    "Express the model with Gemm and element-wise operators.",
)
_EXPORT = "Export the model with standard ONNX operators."


@dataclass(frozen=True)
class Unsupported:
    """A node that cannot run on the NPU, why, and what to do about it."""

    node: str
    op_type: str
    reason: str
    hint: str


def unsupported(model: ir.Model) -> tuple[Unsupported, ...]:
    """The nodes of the main graph that the NPU cannot run, in graph order."""
    found = []
    for node in model.graph:
        answer = _refusal(node)
        if answer is not None:
            found.append(Unsupported(str(node.name), node.op_type, *answer))
    return tuple(found)


def _refusal(node: ir.Node) -> Answer:
    npu = spec(node.op_type).npu
    if node.domain == "ai.onnx.ml":
        return _CLASSICAL
    if node.domain not in ("", "com.microsoft"):
        return f"'{node.op_type}' is an operator of the custom domain '{node.domain}'", _EXPORT
    if node.domain not in npu.domains:
        if node.domain:
            return f"the NPU provider has no {node.op_type}", "Export with standard ONNX operators."
        return npu.reason or f"the NPU has no {node.op_type}", npu.hint
    limit = _LIMITS.get(node.op_type) if node.domain == "" else None
    return _refused_value(node) or (limit(node) if limit is not None else None)


def _refused_value(node: ir.Node) -> Answer:
    most = spec(node.op_type).npu.max_rank
    for value in (*node.inputs, *node.outputs):
        if value is None:
            continue
        dims = rank(value)
        if value.dtype == ir.DataType.STRING:
            return f"'{value.name}' holds text", "Do this part on the CPU."
        if value.dtype == ir.DataType.DOUBLE:
            return f"'{value.name}' holds 64-bit floats", "Let the prepare stage convert the model."
        if dims is not None and dims > most:
            return (
                f"'{value.name}' has {dims} dimensions, and the NPU takes {most}",
                "Merge dimensions with Reshape.",
            )
        if constant(value) is None and value.name and static_shape(value) is None:
            shape = format_shape(value.shape)
            if node.graph is not None and all(map(static_shape, _fed(node.graph))):
                return f"the shape {shape} of '{value.name}' depends on the data", _CUT
            return (
                f"the shape {shape} of '{value.name}' is not fixed",
                "Give the shapes of all inputs under `model.inputs`.",
            )
    return None


def _fed(graph: ir.Graph | ir.Function) -> Iterator[ir.Value]:
    """The inputs with dimensions that a caller feeds."""
    return (v for v in graph.inputs if not v.is_initializer() and rank(v) != 0)


def _dilated(node: ir.Node) -> bool:
    return any(step != 1 for step in ints_attribute(node, "dilations") or ())


def _pool(node: ir.Node) -> Answer:
    if _dilated(node):
        return "the NPU pools without dilation", _TRAIN
    if len(node.outputs) > 1 and node.outputs[1].uses():
        return "the NPU gives no indices of maxima", _TRAIN
    return None


def _layer_norm(node: ir.Node) -> Answer:
    dims = rank(node.inputs[0])
    if dims is not None and node.attributes.get_int("axis", -1) % dims != dims - 1:
        return "the NPU normalizes over the last dimension only", "Merge the dimensions by Reshape."
    return None


def _batch_norm(node: ir.Node) -> Answer:
    dims = rank(node.inputs[0])
    if dims is not None and dims > 4:
        return "the NPU normalizes batches of up to 4 dimensions", "Merge dimensions by Reshape."
    return None


def _pad(node: ir.Node) -> Answer:
    if node.attributes.get_string("mode", "constant") == "wrap":
        return "the NPU does not pad in a circle", "Use Concat of slices."
    if constant(input_at(node, 1)) is None:
        return "its padding depends on the data", _CUT
    return None


def _resize(node: ir.Node) -> Answer:
    nearest = node.attributes.get_string("mode", "nearest") == "nearest"
    place = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    if nearest and place == "asymmetric" and rounding in ("ceil", "round_prefer_floor"):
        return (
            f"the NPU does not resize with asymmetric coordinates and {rounding}",
            "Export the model with `nearest_mode=floor`.",
        )
    return None


def _recurrent(node: ir.Node) -> Answer:
    if "activations" in node.attributes or "clip" in node.attributes:
        return "the NPU has the default activations only", _TRAIN
    if node.attributes.get_int("layout", 0):
        return "the NPU takes the time as first dimension", "Export with layout=0."
    if input_at(node, 4) is not None:
        return "the NPU takes sequences of one length", "Leave out sequence_lens."
    return None


def _clip(node: ir.Node) -> Answer:
    bounds = (input_at(node, 1), input_at(node, 2))
    if any(bound is not None and constant(bound) is None for bound in bounds):
        return "its bounds depend on the data", "Use Min and Max."
    return None


def _never(
    refused: Callable[[ir.Node], object], reason: str, hint: str = _TRAIN
) -> Callable[[ir.Node], Answer]:
    """A limit with one reason."""
    return lambda node: (reason, hint) if refused(node) else None


_arg_max = _never(
    lambda node: node.attributes.get_int("select_last_index", 0),
    "the NPU gives the first of equal maxima",
    "Export with select_last_index=0.",
)
_LIMITS: dict[str, Callable[[ir.Node], Answer]] = {
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "ConvTranspose": _never(_dilated, "the NPU's transposed convolution has no dilation"),
    "Pad": _pad,
    "Resize": _resize,
    "CumSum": _never(
        lambda node: (
            node.attributes.get_int("exclusive", 0) or node.attributes.get_int("reverse", 0)
        ),
        "the NPU sums forward and inclusively only",
    ),
    "ArgMax": _arg_max,
    "ArgMin": _arg_max,
    "LpNormalization": _never(
        lambda node: node.attributes.get_int("p", 2) != 2, "the NPU has the L2 norm only"
    ),
    "GridSample": _never(
        lambda node: node.attributes.get_string("mode", "linear") == "cubic",
        "the NPU does not sample a grid with cubic interpolation",
        "Use linear mode.",
    ),
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "Clip": _clip,
    "Mod": _never(lambda node: node.attributes.get_int("fmod", 0), "the NPU has no fmod"),
}
