"""Writes a Sigmoid that leaves the model as a product of two, so that low scores are right.

1. `Sigmoid(x)` that leaves the graph, also through operators that move it or a pool of maxima,
   becomes `exp(min(x, 0)) * sigmoid(|x|)`, which is the same: `s(x) = e^x s(-x)`.
2. That of a map of at most 4 channels and 16,384 elements or more, a multiple of 256, is computed
   as a map of 256 channels, between Reshapes.
3. That of one row or column of 512 elements or more is computed as rows of 32 elements or more,
   where it can be parted so.
4. One of more than 65,536 elements stays, as the product takes three times as long there (853,000
   cycles become 2,733,000 for a detector's 80 x 8,400 scores); a note tells, and where samples show
   that it matters, the comparison with the CPU finds a form.

The NPU's Sigmoid has an absolute step of 2^-11, behind a Conv of 2^-8: of scores around 3e-4 it
leaves 0 to 12 dB, and 56 so (simulator of QAIRT 2.51, fp16, v73 to v81). A threshold of 0.01 meets
such scores. Gates inside of a model lose nothing by that step, and stay. The NPU computes 32
channels at once: of one map of 256 x 256 behind a Conv the Sigmoid takes 335 us on QCS9075 and 243
on SA8797P by the estimate (fp16, layer and output with it), the product 1,066 and 595 as it is, and
417 and 237 over 256 channels. Of one column of 8,400 boxes, layers included, 454 become 212; of one
row the estimate lacks the cost of six operators, and takes 2,059 in optimization mode 1, 338 so.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from snapq.graph.edit import Editor, integers, number
from snapq.graph.float16.limit_exponents import LEAST
from snapq.graph.passes.base import Result, Skipped
from snapq.graph.shapes import static_shape
from snapq.operators import Trait, having

OPERATORS = ("Sigmoid",)

_MOST = 65_536
_MAP, _NARROW, _LEAST_NARROW, _CHANNELS = 4, 4, 16_384, 256
"""Axes of a map, channels of a narrow one at most, its elements at least, and channels instead."""
_LEAST_ROW, _COLUMNS, _GROUP = 512, (32, 513), 16
"""Elements of one row at least, and of the rows that it becomes: a multiple of 16 where that goes,
as rows of 35 lack a cost in the estimate."""
_PASSED = {*having(Trait.MOVES), *having(Trait.RESHAPES), "MaxPool", "Cast", "Identity"}


def apply(node: ir.Node, edit: Editor) -> Result:
    """Rewrites one Sigmoid."""
    source = node.inputs[0]
    if source is None or not _leaves(node.outputs[0]):
        return False
    if is_large(source):
        return Skipped("it has so many elements that the product would take three times as long")
    shape, wide = static_shape(source), _many_channels(source) or _rows(source)
    if wide is None or shape is None:
        return _product(source, edit)
    made = _product(edit.op("Reshape", source, integers(*wide)), edit)
    return edit.op("Reshape", made, integers(*shape))


def _product(source: ir.Value, edit: Editor) -> ir.Value:
    power = edit.op("Exp", edit.op("Clip", source, number(LEAST), number(0)))
    return edit.op("Mul", power, edit.op("Sigmoid", edit.op("Abs", source)))


def _many_channels(source: ir.Value) -> tuple[int, int, int, int] | None:
    """The shape of a narrow map as one of many channels; None of others, which stay."""
    shape = static_shape(source)
    if shape is None or len(shape) != _MAP or shape[1] > _NARROW:
        return None
    places, rest = divmod(math.prod(shape), _CHANNELS)
    if rest or math.prod(shape) < _LEAST_NARROW:
        return None
    rows = max(size for size in range(1, math.isqrt(places) + 1) if places % size == 0)
    return 1, _CHANNELS, rows, places // rows


def _rows(source: ir.Value) -> tuple[int, int, int] | None:
    """The shape of one row or column as several rows; None of others, which stay."""
    shape = static_shape(source) or ()
    count = math.prod(shape)
    if count != max(shape, default=0) or count < _LEAST_ROW:
        return None
    sizes = [size for size in range(*_COLUMNS) if count % size == 0]
    if not sizes:
        return None
    columns = max(sizes, key=lambda size: (math.gcd(size, _GROUP), -size))
    return 1, count // columns, columns


def is_large(value: ir.Value) -> bool:
    """Whether a Sigmoid of this stays as it is; of an unknown shape it does not."""
    shape = value.shape
    return shape is not None and shape.is_static() and math.prod(shape.numpy()) > _MOST


def _leaves(value: ir.Value) -> bool:
    """Whether a value, moved about at most, is an output of the graph."""
    left, seen = [value], set[ir.Value]()
    while left:
        one = left.pop()
        if one.is_graph_output():
            return True
        if one in seen:
            continue
        seen.add(one)
        for user, _ in one.uses():
            if user.op_type in _PASSED:
                left.extend(user.outputs)
    return False
