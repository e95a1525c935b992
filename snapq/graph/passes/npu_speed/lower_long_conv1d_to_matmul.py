"""Writes long filters over one channel, of sound and the like, as products over many channels.

The NPU computes channels side by side and taps one after another: by Qualcomm's estimate for
QCS9075, a filter of 256 taps and stride 2 over 44,098 samples takes 83 ms at fp16 and 1.4 ms at
w8a8; in this form 0.24 and 0.08 ms. Filters with many outputs for their stride use the channels
anyway and stay as they are.

1. `Conv` over one channel and one long dimension with 32 taps or more, no dilation = Reshape of the
   samples to frames, whose samples are channels; Conv over frames; Reshape back. Where the stride
   is shorter than a frame, the Conv has an output channel for each place in the frame.

Source: the polyphase form of a filter; Vaidyanathan, "Multirate systems and filter banks", 1993.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, input_at, integers, ints_attribute, number
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import Shape, static_shape

OPERATORS = ("Conv",)

_FEWEST_TAPS = 32
_MOST_OUTPUTS = 128
_OUTPUTS_A_STEP = 9
"""Output channels for each step of the stride up to which the estimate is lower in this form."""
_FRAME = 64
"""Samples in a frame, about: more of them cost taps that are zero where the stride is short."""
_FEWEST_CHANNELS = 16
"""Fewer, as where the stride is a large prime number, gain nothing."""


@dataclass(frozen=True)
class _Filter:
    """A convolution over one channel and one dimension.

    Attributes:
        samples: of the input.
        made: of the output.
        taps: of the kernel.
        stride: between outputs.
        before: zeros in front of the input.
    """

    samples: int
    made: int
    taps: int
    stride: int
    before: int


def apply(node: ir.Node, edit: Editor) -> Result:
    """Writes one long filter as a convolution over frames."""
    source, weight = node.inputs[0], constant(node.inputs[1])
    shape, made = static_shape(source), static_shape(node.outputs[0])
    bias = constant(input_at(node, 2))
    if source is None or shape is None or made is None or weight is None:
        return False
    found = _filter(node, shape, made, weight)
    if found is None:
        return False
    if input_at(node, 2) is not None and bias is None:
        return False
    frame = _frame(found)
    if frame < _FEWEST_CHANNELS:
        return Skipped(f"its stride of {found.stride} allows frames of {frame} samples only")
    places = max(1, frame // found.stride)
    outputs = weight.shape[0]
    kernel = _spread(weight.reshape(outputs, found.taps), frame, places, found.stride)
    count = -(-found.made // places)
    step = max(1, found.stride // frame)
    frames = (count - 1) * step + kernel.shape[-1]
    batch = shape[0]
    line = edit.op("Reshape", source, integers(batch, found.samples))
    line = _fitted(line, found, frames * frame, edit)
    framed = edit.op("Reshape", line, integers(batch, 1, frames, frame))
    channels = edit.op("Transpose", framed, perm=[0, 3, 1, 2])
    biases = None if bias is None else np.tile(bias, places)
    result = edit.op(
        "Conv", channels, kernel, biases, kernel_shape=[1, kernel.shape[-1]], strides=[1, step]
    )
    if places > 1:
        rows = edit.op("Transpose", result, perm=[0, 2, 3, 1])
        rows = edit.op("Reshape", rows, integers(batch, count * places, outputs))
        if count * places > found.made:
            end = integers(found.made)
            rows = edit.op("Slice", rows, integers(0), end, integers(1))
        result = rows if outputs == 1 else edit.op("Transpose", rows, perm=[0, 2, 1])
    return edit.op("Reshape", result, integers(*made))


def _filter(node: ir.Node, shape: Shape, made: Shape, weight: np.ndarray) -> _Filter | None:
    """What a Conv does along its one long dimension; None where it is no such filter."""
    if 0 in (*shape, *made):
        return None
    dims = len(shape) - 2
    plain = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    single = node.attributes.get_int("group", 1) == 1 and shape[1] == 1
    long = [axis for axis in range(dims) if shape[axis + 2] > 1]
    if not plain or not single or len(long) != 1:
        return None
    (axis,) = long
    pads = ints_attribute(node, "pads") or (0,) * 2 * dims
    strides = ints_attribute(node, "strides") or (1,) * dims
    others = [
        weight.shape[i + 2] != 1 or pads[i] or pads[i + dims] for i in range(dims) if i != axis
    ]
    dilated = any(step != 1 for step in ints_attribute(node, "dilations") or ())
    taps = weight.shape[axis + 2]
    if any(others) or dilated or taps < _FEWEST_TAPS or made[axis + 2] < 2:
        return None
    if weight.shape[0] > min(_MOST_OUTPUTS, _OUTPUTS_A_STEP * strides[axis]):
        return None
    return _Filter(shape[axis + 2], made[axis + 2], taps, strides[axis], pads[axis])


def _frame(found: _Filter) -> int:
    """Samples in a frame: a divisor of the stride, or a multiple of it."""
    if found.stride >= _FRAME:
        return max(size for size in range(1, 2 * _FRAME + 1) if found.stride % size == 0)
    return found.stride * max(1, min(_FRAME, found.taps // 2) // found.stride)


def _spread(weight: np.ndarray, frame: int, places: int, stride: int) -> np.ndarray:
    """The kernel over frames `[places x O, frame, 1, frames]` of one over samples `[O, taps]`."""
    outputs, taps = weight.shape
    width = -(-(taps + stride * (places - 1)) // frame)
    wide = np.zeros((places, outputs, width * frame), weight.dtype)
    for place in range(places):
        wide[place, :, place * stride : place * stride + taps] = weight
    framed = wide.reshape(places * outputs, width, frame)
    return np.ascontiguousarray(framed.transpose(0, 2, 1)[:, :, None, :])


def _fitted(line: ir.Value, found: _Filter, wanted: int, edit: Editor) -> ir.Value:
    """The samples with zeros in front, and as many as whole frames have."""
    after = wanted - found.before - found.samples
    if after < 0:
        end = integers(found.samples + after)
        line = edit.op("Slice", line, integers(0), end, integers(1))
    if found.before or after > 0:
        pads = integers(0, found.before, 0, max(after, 0))
        line = edit.op("Pad", line, pads, number(0.0))
    return line
