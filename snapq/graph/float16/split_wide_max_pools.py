"""Writes maxima over windows that are larger than the map, or have strides, as those of small ones.

1. `MaxPool(x)` with stride 1, whose window is longer than the map along some axis, becomes a row of
   MaxPools of 3 (and one of 2), whose windows and paddings add up to the same.
2. One with strides whose window has 4, 6, 7 or 8 taps along an axis with stride 2 becomes a MaxPool
   without strides, and one of 3 with them.
3. One of 2 columns with stride 2 and padding in front of them, or of one column and several rows
   with a stride of 2 along columns, becomes a MaxPool without strides, and one of 1 with them.

Values are the same. Estimated in us on QCS9075 (QAIRT 2.51, fp16): windows of 13 x 13 over 384 maps
of 8 x 6 between two Convs take 3,626, as six of 3 x 3 101; in RTMPose-m they are 60 % of the time.
In 8 and 16 bits, and over larger maps, wide windows are the faster ones. Of the windows with
stride 2 some in each row take in elements beside them (21 to 27 dB, simulated on QCS9075
with QAIRT 2.51); those of 5, 9 and more taps, and other strides, are right. So do those of 2
columns with padding in front (14 dB), and those of one column do not compile.
"""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.edit import Editor, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("MaxPool",)

_WRONG = (4, 6, 7, 8)
"""Taps of windows that the NPU computes wrongly with stride 2."""
_STRIDE = 2


def apply(node: ir.Node, edit: Editor) -> Result:
    """Takes one pool apart."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    kernel = ints_attribute(node, "kernel_shape")
    if source is None or shape is None or kernel is None or not _plain(node):
        return False
    count = len(kernel)
    pads = ints_attribute(node, "pads") or (0,) * 2 * count
    strides = ints_attribute(node, "strides") or (1,) * count
    if any(pad >= taps for pad, taps in zip(pads, kernel * 2, strict=True)):
        return False
    if any(size in _WRONG and step == _STRIDE for size, step in zip(kernel, strides, strict=True)):
        windows = [[max(taps - 2, 1), min(taps, 3)] for taps in kernel]
        shares = [_halved(pad, windows[i % count]) for i, pad in enumerate(pads)]
    elif strides[-1] == _STRIDE and (_behind_padding(kernel, pads) or _one_column(kernel)):
        windows = [[taps, 1] for taps in kernel]
        shares = [[pad, 0] for pad in pads]
    elif set(strides) <= {1} and any(shape[2 + i] < taps for i, taps in enumerate(kernel)):
        steps = max(_steps(taps) for taps in kernel)
        if steps < 2:
            return False
        windows = [_windows(taps, steps) for taps in kernel]
        shares = [_shared(pad, windows[i % count]) for i, pad in enumerate(pads)]
    else:
        return False
    sizes = list(shape[2:])
    last = len(windows[0]) - 1
    for step in range(last + 1):
        window, around = [one[step] for one in windows], [one[step] for one in shares]
        moves = strides if step == last else (1,) * count
        source = edit.op("MaxPool", source, kernel_shape=window, pads=around, strides=moves)
        for axis in range(count):
            room = sizes[axis] + around[axis] + around[count + axis] - window[axis]
            sizes[axis] = room // moves[axis] + 1
        source.shape, source.type = ir.Shape((*shape[:2], *sizes)), node.outputs[0].type
    return source


def _plain(node: ir.Node) -> bool:
    """Whether a pool gives maxima alone, of elements side by side, with padding in numbers."""
    dense = set(ints_attribute(node, "dilations") or ()) <= {1}
    explicit = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    floors = node.attributes.get_int("ceil_mode", 0) == 0
    return explicit and floors and len(node.outputs) == 1 and dense


def _behind_padding(kernel: tuple[int, ...], pads: tuple[int, ...]) -> bool:
    """Whether windows of two columns have padding in front."""
    return kernel[-1] == 2 and pads[len(kernel) - 1] > 0


def _one_column(kernel: tuple[int, ...]) -> bool:
    """Whether windows have one column and several rows."""
    return kernel[-1] == 1 and max(kernel) > 1


def _steps(taps: int) -> int:
    """How many windows of 3, or of 2, add up to one of so many taps."""
    return taps // 2


def _windows(taps: int, steps: int) -> list[int]:
    """Windows that add up to one of `taps`: one of 2 first where it is even, then of 3, then 1."""
    made = [2] * (1 - taps % 2) + [3] * ((taps - 1) // 2)
    return made + [1] * (steps - len(made))


def _halved(pad: int, windows: list[int]) -> list[int]:
    """The padding on one side for the first and for the second window."""
    first = min(pad, windows[0] // 2)
    return [first, pad - first]


def _shared(pad: int, windows: list[int]) -> list[int]:
    """The padding on one side for each window, less than the window and as even as it can be."""
    made = []
    for index, taps in enumerate(windows):
        left = sum(one > 1 for one in windows[index:])
        share = min(taps - 1, -(-pad // left)) if left else 0
        made.append(share)
        pad -= share
    return made
