"""How operators of the standard domain changed their form between opsets 7 and 21.

Each `Change` brings nodes of any earlier opset to the form that its opset gave the operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import Editor, constant, input_at, ints_attribute, rank
from snapq.graph.shapes import static_shape

Adapter = Callable[[ir.Node, Editor], None]


@dataclass(frozen=True)
class Change:
    """`adapt` brings the operators from any opset before `since` to the form of `since`."""

    since: int
    operators: tuple[str, ...]
    adapt: Adapter


def _attributes_to_inputs(*names: str) -> Adapter:
    """Moves attributes to the inputs that follow the data; the last may be absent."""

    def adapt(node: ir.Node, edit: Editor) -> None:
        for index, name in enumerate(names, start=1):
            attribute = node.attributes.pop(name, None)
            if attribute is None:
                continue
            kind = np.float32 if attribute.type == ir.AttributeType.FLOAT else np.int64
            _set_input(node, index, name, np.asarray(attribute.value, kind).reshape(-1), edit)

    return adapt


def _set_input(node: ir.Node, index: int, name: str, array: np.ndarray, edit: Editor) -> None:
    """Gives the node a constant input, named after it."""
    node.resize_inputs(max(len(node.inputs), index + 1))
    node.replace_input_with(index, edit.constant(array, f"{node.outputs[0].name}_{name}"))


def _refusal(node: ir.Node, what: str, opset: str = "a later opset") -> ModelError:
    return ModelError(what, where=str(node.name), hint=f"Export the model with {opset}.")


def _set_texts(node: ir.Node, **texts: str) -> None:
    for name, text in texts.items():
        node.attributes[name] = ir.AttrString(name, text)


def _clip(node: ir.Node, edit: Editor) -> None:
    kind = (node.inputs[0].dtype if node.inputs[0] is not None else None) or ir.DataType.FLOAT
    for index, name in enumerate(("min", "max"), start=1):
        attribute = node.attributes.pop(name, None)
        if attribute is not None:
            _set_input(node, index, name, np.array(attribute.as_float(), kind.numpy()), edit)


def _pad(node: ir.Node, edit: Editor) -> None:
    kind = (node.inputs[0].dtype if node.inputs[0] is not None else None) or ir.DataType.FLOAT
    pads = np.array(ints_attribute(node, "pads"), np.int64)
    filling = np.array(node.attributes.get_float("value", 0.0), kind.numpy())
    node.attributes.pop("pads", None)
    node.attributes.pop("value", None)
    _set_input(node, 1, "pads", pads, edit)
    _set_input(node, 2, "value", filling, edit)


def _dropout(node: ir.Node, edit: Editor) -> None:
    """At inference its ratio has no meaning."""
    node.attributes.pop("ratio", None)
    node.attributes.pop("is_test", None)


def _batch_normalization(node: ir.Node, edit: Editor) -> None:
    if node.attributes.get_int("spatial", 1) != 1:
        what = (
            "BatchNormalization with spatial=0 (statistics for each activation) no longer exists."
        )
        raise _refusal(node, what)
    node.attributes.pop("spatial", None)
    if not any(output.uses() for output in node.outputs[1:]):
        node.resize_outputs(1)


def _split(node: ir.Node, edit: Editor) -> None:
    if input_at(node, 1) is None and "num_outputs" not in node.attributes:
        node.attributes["num_outputs"] = ir.AttrInt64("num_outputs", len(node.outputs))


def _resize_10(node: ir.Node, edit: Editor) -> None:
    """Resize 10 and Upsample take the nearest lower source pixel of asymmetric coordinates."""
    scales = node.attributes.get("scales")
    if scales is not None:
        _set_input(node, 1, "scales", np.array(scales.as_floats(), np.float32), edit)
    mode = node.attributes.get_string("mode", "nearest")
    result = edit.op(
        "Resize",
        node.inputs[0],
        None,
        input_at(node, 1),
        mode="linear" if mode == "bilinear" else mode,
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    edit.replace(node.outputs[0], result)
    edit.remove_if_dead(node)


def _resize_13(node: ir.Node, edit: Editor) -> None:
    if node.attributes.get_string("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn":
        return
    if node.attributes.get_string("nearest_mode", "round_prefer_floor") != "floor":
        raise _refusal(node, "Resize with tf_half_pixel_for_nn no longer exists.")
    _set_texts(node, coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_ceil")


def _softmax(node: ir.Node, edit: Editor) -> None:
    """Before opset 13 the dimensions from `axis` on were taken as one."""
    source = node.inputs[0]
    dims = rank(source)
    axis = node.attributes.get_int("axis", 1)
    if source is None or dims is None:
        what = f"{node.op_type} of an old opset needs an input of known rank."
        raise _refusal(node, what, "opset 13 or later")
    axis %= max(dims, 1)
    shape = static_shape(source)
    if axis == dims - 1 or (shape is not None and all(dim == 1 for dim in shape[axis + 1 :])):
        node.attributes["axis"] = ir.AttrInt64("axis", axis)
        return
    flat = edit.op("Flatten", source, axis=axis)
    result = edit.op(node.op_type, flat, axis=1)
    edit.replace(node.outputs[0], edit.op("Reshape", result, edit.op("Shape", source)))
    edit.remove_if_dead(node)


def _roi_align(node: ir.Node, edit: Editor) -> None:
    _set_texts(node, coordinate_transformation_mode="output_half_pixel")


def _scatter(node: ir.Node, edit: Editor) -> None:
    node.op_type = "ScatterElements"


def _grid_sample(node: ir.Node, edit: Editor) -> None:
    mode = node.attributes.get_string("mode", "bilinear")
    _set_texts(node, mode={"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))


def _dft(node: ir.Node, edit: Editor) -> None:
    axis = np.array(node.attributes.get_int("axis", 1), np.int64)
    node.attributes.pop("axis", None)
    _set_input(node, 2, "axis", axis, edit)


def _group_normalization(node: ir.Node, edit: Editor) -> None:
    """Scale and bias were one for each group, and became one for each channel."""
    shape = static_shape(node.inputs[0])
    groups = node.attributes.get_int("num_groups", 1)
    for index in (1, 2):
        values = constant(node.inputs[index])
        if values is None or shape is None:
            what = "GroupNormalization of opset 18 needs a constant scale and bias."
            raise _refusal(node, what, "opset 21 or later")
        spread = np.repeat(values, shape[1] // groups)
        _set_input(node, index, f"parameter_{index}", spread, edit)


_REDUCE = (
    *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)

# Source: the change logs of the operators, onnx/docs/Changelog.md.
CHANGES = (
    Change(9, ("BatchNormalization",), _batch_normalization),
    Change(10, ("Slice",), _attributes_to_inputs("starts", "ends", "axes")),
    Change(10, ("TopK",), _attributes_to_inputs("k")),
    Change(10, ("Upsample",), _resize_10),
    Change(11, ("Resize",), _resize_10),
    Change(11, ("Clip",), _clip),
    Change(11, ("Pad",), _pad),
    Change(11, ("Scatter",), _scatter),
    Change(12, ("Dropout",), _dropout),
    Change(13, ("Squeeze", "Unsqueeze", "ReduceSum"), _attributes_to_inputs("axes")),
    Change(13, ("Split",), _attributes_to_inputs("split")),
    Change(13, ("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    Change(13, ("Resize",), _resize_13),
    Change(14, ("BatchNormalization",), _batch_normalization),
    Change(16, ("RoiAlign",), _roi_align),
    Change(18, _REDUCE, _attributes_to_inputs("axes")),
    Change(18, ("Split",), _split),
    Change(20, ("GridSample",), _grid_sample),
    Change(20, ("DFT",), _dft),
    Change(21, ("GroupNormalization",), _group_normalization),
)
