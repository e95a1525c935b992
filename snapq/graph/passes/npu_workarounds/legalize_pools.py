"""Writes the windows of AveragePool and MaxPool as the NPU computes them rightly.

Qualcomm's runtime (QAIRT 2.51) divides by a wrong count where `ceil_mode` adds a window that ends
behind the input, and where a padding that does not count is uneven or more than half a window. All
means are wrong where padding counts and the windows lie side by side, or pool a volume, and, at 8
and 16 bits, of 4 x 4, 6 x 6, 8 x 8, … elements side by side. And with `ceil_mode` both pools get a
window that would start behind the input, which ONNX does not have.

1. `ceil_mode` that adds no window is dropped; where the model declares a window too many, the
   padding grows to what the last window needs.
2. Otherwise the padding of AveragePool grows so, all of it counts, and a Mul with a constant makes
   each mean that of the elements that do count.
3. Padding that counts, where windows lie side by side, goes in front; of a volume it does not
   count, and a Mul makes up for it.
4. Square windows of an even size above 2 that tile the input = windows of 2 x 2, and of half the
   size over their means.

Source: AveragePool-19 of ONNX: padding counts where `count_include_pad` says so, what lies behind
it never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import (
    Editor,
    integers,
    ints_attribute,
)
from snapq.graph.passes.base import Result
from snapq.graph.passes.padding import zero_padded
from snapq.graph.shapes import static_shape

OPERATORS = ("AveragePool", "MaxPool")
KEEPS_SHAPES = False
"""Where `ceil_mode` adds a window behind the input, ONNX infers one too many."""


@dataclass(frozen=True)
class _Windows:
    """Where the windows of a pool lie along each spatial axis, all in elements.

    Attributes:
        sizes: of the input.
        spans: of a window, with what dilation skips.
        strides: between windows.
        before, after: padding.
        made: number of windows, as ONNX counts them.
        floors: number of windows without `ceil_mode`.
    """

    sizes: tuple[int, ...]
    spans: tuple[int, ...]
    strides: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    made: tuple[int, ...]
    floors: tuple[int, ...]

    @property
    def ends(self) -> tuple[int, ...]:
        """Padding behind that the last windows need; negative where they end before the input."""
        return tuple(
            (count - 1) * stride + span - size - low
            for count, stride, span, size, low in zip(
                self.made, self.strides, self.spans, self.sizes, self.before, strict=True
            )
        )

    @property
    def needed(self) -> tuple[int, ...]:
        """Padding behind, with what the last windows need beyond it."""
        return tuple(max(high, end) for high, end in zip(self.after, self.ends, strict=True))


def apply(node: ir.Node, edit: Editor) -> Result:
    """Makes the borders of one pool exact."""
    shape, output = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    found = _windows(node, shape)
    if shape is None or output is None or found is None:
        return False
    ceil = node.attributes.get_int("ceil_mode", 0) == 1
    fits = all(more < span for more, span in zip(found.needed, found.spans, strict=True))
    misnamed = output[2:] != found.made and fits
    if ceil and (found.made == found.floors or (misnamed and node.op_type == "MaxPool")):
        del node.attributes["ceil_mode"]
        pads = (*found.before, *found.needed) if misnamed else (*found.before, *found.after)
        node.attributes["pads"] = ir.AttrInt64s("pads", pads)
        node.outputs[0].shape = ir.Shape((*shape[:2], *found.made))
        return True
    if node.op_type == "MaxPool" or found.spans != ints_attribute(node, "kernel_shape"):
        return False
    return _average(node, found, fits, edit)


def _average(node: ir.Node, found: _Windows, fits: bool, edit: Editor) -> Result:
    """Makes the means of one AveragePool exact."""
    source, shape = node.inputs[0], static_shape(node.inputs[0])
    if source is None or shape is None or not fits:
        return False
    counts = node.attributes.get_int("count_include_pad", 0) == 1
    before, after = found.before, found.needed
    padded = any((*before, *after))
    if not padded and _halves(found):
        return _in_two(node, source, found, edit)
    spans = found.spans * 2
    wide = any(pad > (span - 1) // 2 for pad, span in zip((*before, *after), spans, strict=True))
    grown = after != found.after
    volume = len(found.spans) > 2
    if volume and counts and padded and not (wide or grown or before != after):
        scale = _held(found, False) / _held(found, True)
        pooled = _pooled(source, found, before, after, edit, counts=False)
        return _shaped(node, edit.op("Mul", pooled, scale.astype(np.float32)), found)
    rescaled = grown or (not counts and (wide or before != after))
    apart = padded and found.spans == found.strides and (counts or rescaled)
    if not (apart or rescaled):
        return False
    if apart:
        source = _tiled(source, found, edit)
        before = after = (0,) * len(before)
    result = _pooled(source, found, before, after, edit, counts=True)
    if rescaled:
        scale = np.prod(found.spans) / np.maximum(_held(found, counts), 1)
        result = edit.op("Mul", result, scale.astype(np.float32))
    return _shaped(node, result, found)


def _tiled(source: ir.Value, found: _Windows, edit: Editor) -> ir.Value:
    """The input with the padding that windows side by side read, and without what none reads."""
    padded = zero_padded(source, found.before, [max(0, end) for end in found.ends], edit)
    if min(found.ends) >= 0:
        return padded
    read = [count * span for count, span in zip(found.made, found.spans, strict=True)]
    axes = range(2, len(read) + 2)
    cut = edit.op("Slice", padded, integers(*(0 for _ in read)), integers(*read), integers(*axes))
    cut.shape = ir.Shape((*(static_shape(source) or ())[:2], *read))
    return cut


def _pooled(
    source: ir.Value,
    found: _Windows,
    before: Sequence[int],
    after: Sequence[int],
    edit: Editor,
    *,
    counts: bool,
) -> ir.Value:
    return edit.op(
        "AveragePool",
        source,
        kernel_shape=found.spans,
        strides=found.strides,
        pads=(*before, *after),
        count_include_pad=int(counts),
    )


def _shaped(node: ir.Node, result: ir.Value, found: _Windows) -> ir.Value:
    """A result with the shape that the pool's has."""
    shape = static_shape(node.inputs[0]) or ()
    result.shape = ir.Shape((*shape[:2], *found.made))
    return result


def _halves(found: _Windows) -> bool:
    """Whether the windows tile an image and are square, of an even size above 2."""
    (size, *others) = set(found.spans)
    tiled = all(
        whole == count * span
        for whole, count, span in zip(found.sizes, found.made, found.spans, strict=True)
    )
    image = len(found.spans) == 2 and found.spans == found.strides
    return image and tiled and not others and size > 2 and size % 2 == 0


def _in_two(node: ir.Node, source: ir.Value, found: _Windows, edit: Editor) -> Result:
    """Means of 2 x 2 elements, and the means of those."""
    rest = [span // 2 for span in found.spans]
    halved = edit.op("AveragePool", source, kernel_shape=[2, 2], strides=[2, 2])
    halved.shape = ir.Shape((*(static_shape(source) or ())[:2], *(s // 2 for s in found.sizes)))
    result = edit.op("AveragePool", halved, kernel_shape=rest, strides=rest)
    return _shaped(node, result, found)


def _held(found: _Windows, counts: bool) -> npt.NDArray[np.float64]:
    """Elements of each window that count, `[1, 1, …]`."""
    dims = len(found.sizes)
    held = np.ones((1, 1, *found.made), np.float64)
    for axis, span in enumerate(found.spans):
        starts = np.arange(found.made[axis]) * found.strides[axis]
        low = 0 if counts else found.before[axis]
        high = found.sizes[axis] + found.before[axis] + (found.after[axis] if counts else 0)
        line = np.minimum(starts + span, high) - np.maximum(starts, low)
        held = held * line.reshape([-1 if i == axis + 2 else 1 for i in range(dims + 2)])
    return held


def _windows(node: ir.Node, shape: tuple[int, ...] | None) -> _Windows | None:
    """The windows of one pool; None where its padding or its input is not known."""
    kernel = ints_attribute(node, "kernel_shape")
    if shape is None or kernel is None or len(shape) != len(kernel) + 2:
        return None
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return None
    dims = len(kernel)
    dilations = ints_attribute(node, "dilations") or (1,) * dims
    strides = ints_attribute(node, "strides") or (1,) * dims
    pads = ints_attribute(node, "pads") or (0,) * 2 * dims
    before, after = pads[:dims], pads[dims:]
    spans = tuple((window - 1) * step + 1 for window, step in zip(kernel, dilations, strict=True))
    padded = [sum(sides) for sides in zip(before, shape[2:], after, strict=True)]
    floors = tuple(
        (size - span) // stride + 1
        for size, span, stride in zip(padded, spans, strides, strict=True)
    )
    ceil = node.attributes.get_int("ceil_mode", 0) == 1
    made = _counts(padded, spans, strides, shape[2:], before) if ceil else floors
    return _Windows(shape[2:], spans, strides, before, after, made, floors)


def _counts(
    padded: Sequence[int],
    spans: Sequence[int],
    strides: Sequence[int],
    sizes: Sequence[int],
    before: Sequence[int],
) -> tuple[int, ...]:
    """Windows along each axis with `ceil_mode`; one that starts behind the input is none."""
    counts = []
    for whole, span, stride, size, low in zip(padded, spans, strides, sizes, before, strict=True):
        count = -((span - whole) // stride) + 1
        counts.append(count - 1 if (count - 1) * stride >= size + low else count)
    return tuple(counts)
