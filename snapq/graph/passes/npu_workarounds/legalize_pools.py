"""Writes the windows of AveragePool and MaxPool as the NPU computes them rightly.

Qualcomm's runtime (QAIRT 2.51) divides by a wrong count where `ceil_mode` adds a window that ends
behind the input, and where a padding that does not count is uneven or more than half a window, or
around windows of 5 with strides (8 to 26 dB in 8 bits, a stride of 3 in 16 bits too). All means are
wrong where padding counts and the windows lie side by side, or pool a volume, and, at 8 and 16
bits, of 4 x 4, 6 x 6, 8 x 8, … elements side by side. And with `ceil_mode` both pools get a window
that would start behind the input, which ONNX does not have.

1. `ceil_mode` that adds no window is dropped; where the model declares a window too many, the
   padding grows to what the last window needs.
2. Otherwise the padding of AveragePool grows so, all of it counts, and a Mul with a constant makes
   each mean that of the elements that do count.
3. Padding that counts, where windows lie side by side, goes in front; of a volume it does not
   count, and a Mul makes up for it.
4. Square windows of an even size above 2 that tile the input = windows of 2 x 2, and of half the
   size over their means.
5. MaxPool whose window is longer than its input gets the padding behind that it lacks; of an
   AveragePool `average_by_conv` makes a Conv. ONNX infers one window there, and the NPU has 0 dB.

Source: AveragePool-19 of ONNX: padding counts where `count_include_pad` says so, what lies behind
it never does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import Editor, integers, ints_attribute
from snapq.graph.passes.base import Result
from snapq.graph.passes.padding import zero_padded
from snapq.graph.shapes import Shape, static_shape

__all__ = ["KEEPS_SHAPES", "OPERATORS", "Windows", "apply", "held", "windows"]

OPERATORS = ("AveragePool", "MaxPool")
KEEPS_SHAPES = False
"""Where `ceil_mode` adds a window behind the input, ONNX infers one too many."""

_SPAN = 5
"""Of windows whose padding the NPU counts wrongly where they have strides."""

Sizes = npt.NDArray[np.int64]
"""Elements along each spatial axis."""


@dataclass(frozen=True)
class Windows:
    """Where the windows of a pool lie.

    Attributes:
        sizes: of the input.
        spans: of a window, with what dilation skips.
        strides: between windows.
        before, after: padding.
        made: number of windows, as ONNX counts them.
        floors: number of windows without `ceil_mode`.
    """

    sizes: Sizes
    spans: Sizes
    strides: Sizes
    before: Sizes
    after: Sizes
    made: Sizes
    floors: Sizes

    @property
    def room(self) -> Sizes:
        """Places of a window beyond its first; negative where it is longer than its input."""
        return self.sizes + self.before + self.after - self.spans

    @property
    def ends(self) -> Sizes:
        """Padding behind that the last windows need; negative where they end before the input."""
        return (self.made - 1) * self.strides + self.spans - self.sizes - self.before

    @property
    def needed(self) -> Sizes:
        """Padding behind, with what the last windows need beyond it."""
        return np.maximum(self.after, self.ends)


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes the borders of one pool exact."""
    shape, output = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    found = windows(node, shape)
    if shape is None or output is None or found is None:
        return False
    fits = bool(np.all(found.needed < found.spans))
    misnamed = output[2:] != tuple(found.made) and fits
    same = np.array_equal(found.made, found.floors)
    if node.op_type == "MaxPool" and fits and np.any(found.room < 0):
        pads = [*found.before.tolist(), *found.needed.tolist()]
        node.attributes["pads"] = ir.AttrInt64s("pads", pads)
        return True
    if _ceils(node) and (same or (misnamed and node.op_type == "MaxPool")):
        del node.attributes["ceil_mode"]
        pads = [*found.before.tolist(), *(found.needed if misnamed else found.after).tolist()]
        node.attributes["pads"] = ir.AttrInt64s("pads", pads)
        node.outputs[0].shape = ir.Shape((*shape[:2], *found.made.tolist()))
        return True
    dilated = tuple(found.spans) != ints_attribute(node, "kernel_shape")
    if node.op_type == "MaxPool" or dilated or not fits:
        return False
    return _average(node, found, shape, edit)


def _average(node: ir.Node, found: Windows, shape: Shape, edit: Editor) -> Result:
    """Makes the means of one AveragePool exact."""
    source = node.inputs[0]
    assert source is not None
    counts = node.attributes.get_int("count_include_pad", 0) == 1
    before, after = found.before, found.needed
    padded = bool(np.any(before) or np.any(after))
    if not padded and _halves(found):
        return _shaped(_in_two(source, found, shape, edit), found.made, shape)
    wide = bool(np.any(np.maximum(before, after) > (found.spans - 1) // 2))
    strided = bool(np.any((found.spans == _SPAN) & (found.strides > 1) & (before > 0)))
    grown, uneven = bool(np.any(after != found.after)), bool(np.any(before != after))
    volume = len(found.spans) > 2
    if volume and counts and padded and not (wide or grown or uneven):
        scale = held(found, False) / held(found, True)
        pooled = _pooled(source, found, before, after, edit, counts=False)
        return _shaped(edit.op("Mul", pooled, scale.astype(np.float32)), found.made, shape)
    rescaled = grown or (not counts and (wide or uneven or strided))
    apart = padded and np.array_equal(found.spans, found.strides) and (counts or rescaled)
    if not (apart or rescaled):
        return False
    if apart:
        source = _tiled(source, found, shape, edit)
        before = after = np.zeros_like(before)
    result = _pooled(source, found, before, after, edit, counts=True)
    if rescaled:
        scale = np.prod(found.spans) / np.maximum(held(found, counts), 1)
        result = edit.op("Mul", result, scale.astype(np.float32))
    return _shaped(result, found.made, shape)


def _tiled(source: ir.Value, found: Windows, shape: Shape, edit: Editor) -> ir.Value:
    """The input with the padding that windows side by side read, and without what none reads."""
    ends = found.ends
    padded = zero_padded(source, found.before.tolist(), np.maximum(0, ends).tolist(), edit)
    if min(ends) >= 0:
        return padded
    read, axes = found.made * found.spans, range(2, len(shape))
    cut = edit.op("Slice", padded, np.zeros_like(read), read, integers(*axes))
    return _shaped(cut, read, shape)


def _pooled(
    source: ir.Value, found: Windows, before: Sizes, after: Sizes, edit: Editor, *, counts: bool
) -> ir.Value:
    return edit.op(
        "AveragePool",
        source,
        kernel_shape=found.spans.tolist(),
        strides=found.strides.tolist(),
        pads=[*before.tolist(), *after.tolist()],
        count_include_pad=int(counts),
    )


def _shaped(value: ir.Value, sizes: Sizes, shape: Shape) -> ir.Value:
    """The value, with these sizes of spatial axes and the batch and channels of `shape`."""
    value.shape = ir.Shape((*shape[:2], *sizes.tolist()))
    return value


def _halves(found: Windows) -> bool:
    """Whether the windows tile an image and are square, of an even size above 2."""
    (size, *others) = set(found.spans.tolist())
    tiled = np.array_equal(found.sizes, found.made * found.spans)
    image = len(found.spans) == 2 and np.array_equal(found.spans, found.strides)
    return image and tiled and not others and size > 2 and size % 2 == 0


def _in_two(source: ir.Value, found: Windows, shape: Shape, edit: Editor) -> ir.Value:
    """Means of 2 x 2 elements, and the means of those."""
    rest = (found.spans // 2).tolist()
    halved = edit.op("AveragePool", source, kernel_shape=[2, 2], strides=[2, 2])
    _shaped(halved, found.sizes // 2, shape)
    return edit.op("AveragePool", halved, kernel_shape=rest, strides=rest)


def held(found: Windows, counts: bool) -> npt.NDArray[np.float64]:
    """Elements of each window that count, `[1, 1, …]`."""
    dims = len(found.sizes)
    count = np.ones((1, 1, *found.made), np.float64)
    for axis, span in enumerate(found.spans):
        starts = np.arange(found.made[axis]) * found.strides[axis]
        low = 0 if counts else found.before[axis]
        high = found.sizes[axis] + found.before[axis] + (found.after[axis] if counts else 0)
        line = np.minimum(starts + span, high) - np.maximum(starts, low)
        count = count * line.reshape([-1 if i == axis + 2 else 1 for i in range(dims + 2)])
    return count


def windows(node: ir.Node, shape: Shape | None) -> Windows | None:
    """The windows of one pool; None where its padding or its input is not known."""
    kernel = ints_attribute(node, "kernel_shape")
    if shape is None or kernel is None or len(shape) != len(kernel) + 2:
        return None
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return None
    dims = len(kernel)
    dilations = integers(*(ints_attribute(node, "dilations") or (1,) * dims))
    strides = integers(*(ints_attribute(node, "strides") or (1,) * dims))
    before, after = integers(*(ints_attribute(node, "pads") or (0,) * 2 * dims)).reshape(2, dims)
    sizes, spans = integers(*shape[2:]), (integers(*kernel) - 1) * dilations + 1
    room = sizes + before + after - spans
    made = floors = np.trunc(room / strides).astype(np.int64) + 1  # one window where none fits
    if _ceils(node):
        made = -(-room // strides) + 1
        made = made - ((made - 1) * strides >= sizes + before)  # none starts behind the input
    return Windows(sizes, spans, strides, before, after, made, floors)


def _ceils(node: ir.Node) -> bool:
    return node.attributes.get_int("ceil_mode", 0) == 1
