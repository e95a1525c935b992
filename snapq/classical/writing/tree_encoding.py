"""Trees at the boundary of the NPU, as ONNX: what `tree_encoding` of the steps computes.

ONNX of this opset does not read the bits of a float, so they are computed: the exponent is the rank
of the value among the powers of two, and the mantissa what is left when the value is multiplied by
the right power of two, which is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapq.classical.program import Step
from snapq.classical.writing.steps import names
from snapq.classical.writing.trees import Trees, write_trees
from snapq.classical.writing.writer import Writer, writes

_FLOAT, _UINT8, _INT32, _INT64, _DOUBLE = 1, 2, 6, 7, 11
_MANTISSA = 1 << 23
_SIGN = 1 << 31


@writes("tree_ranks")
def write_ranks(writer: Writer, step: Step) -> None:
    """Writes a search tree for each feature, whose leaves are the ranks."""
    inputs, outputs = names(writer, step)
    arrays = step.arrays
    thresholds = [
        arrays["thresholds"][first : first + count]
        for first, count in zip(arrays["first"], arrays["counts"], strict=True)
    ]
    found = _search(writer, inputs[0], thresholds, arrays["features"], arrays["nan_true"])
    codes = writer.add("Cast", found, to=_INT32)
    _two_digits(writer, codes, step, outputs[0])


@writes("tree_integers")
def write_integers(writer: Writer, step: Step) -> None:
    """Writes differences; a value that is no integer ends in an index that is out of bounds."""
    inputs, outputs = names(writer, step)
    arrays = step.arrays
    read = _columns(writer, inputs[0], arrays["features"])
    absent = writer.add("IsNaN", read)
    values = writer.add("Where", absent, writer.constant(arrays["low"]), read)
    whole = writer.add("Equal", writer.add("Floor", values), values)
    finite = writer.add("Not", writer.add("IsInf", values))
    right = writer.add("And", whole, finite)
    wrong = writer.add("Cast", writer.add("Not", right), to=_INT64)
    axes = writer.constant(np.array([0, 1], np.int64))
    index = writer.add("ReduceMax", wrong, axes, keepdims=0)
    nothing = writer.add("Gather", writer.constant(np.zeros(1, np.int32)), index)
    near = writer.add("Max", values, writer.constant(arrays["low"]))
    near = writer.add("Min", near, writer.constant(arrays["high"]))
    distance = writer.add("Sub", near, writer.constant(arrays["low"]))
    codes = writer.add("Cast", distance, to=_INT32)
    codes = writer.add("Add", codes, writer.constant(arrays["first"]))
    codes = writer.add("Where", absent, writer.constant(arrays["absent"]), codes)
    _two_digits(writer, writer.add("Add", codes, nothing), step, outputs[0])


@writes("tree_limbs")
def write_limbs(writer: Writer, step: Step) -> None:
    """Writes the ordered bits of values as four bytes for each half."""
    inputs, outputs = names(writer, step)
    arrays = step.arrays
    read = _columns(writer, inputs[0], arrays["features"])
    bits = _magnitude_bits(writer, read, len(arrays["features"]))
    below = writer.add("Sub", writer.constant(np.int64(_SIGN - 1)), bits)
    above = writer.add("Add", writer.constant(np.int64(_SIGN)), bits)
    negative = writer.add("Less", read, writer.constant(np.float32(0)))
    keys = writer.add("Where", negative, below, above)
    nan_keys = np.where(arrays["nan_true"], 0, (1 << 32) - 1).astype(np.int64)
    keys = writer.add("Where", writer.add("IsNaN", read), writer.constant(nan_keys), keys)
    half = writer.constant(np.int64(1 << 16))
    halves = [writer.add("Mod", keys, half), writer.add("Div", keys, half)]
    for found, output in zip(halves, outputs, strict=True):
        _spread(writer, found, 4 * len(arrays["features"]), output)


def _magnitude_bits(writer: Writer, read: str, columns: int) -> str:
    """The bits of a float32 without its sign, int64; anything of NaN."""
    size = writer.add("Abs", read)
    size = writer.add("Where", writer.add("IsNaN", size), writer.constant(np.float32(0)), size)
    powers = np.float32(2.0) ** np.arange(-126, 128, dtype=np.float32)
    beside = np.nextafter(powers, np.float32(0)).astype(np.float32)
    every = np.arange(columns, dtype=np.int32)
    exponents = _search(writer, size, [beside] * columns, every, np.ones(columns, np.bool_))
    index = writer.add("Cast", exponents, to=_INT32)
    finite = writer.add("Min", size, writer.constant(np.finfo(np.float32).max))
    # 2^(23 - exponent) may be no float32; of its two parts each is.
    wanted = 150 - np.maximum(np.arange(255), 1)
    for part in (wanted // 2, wanted - wanted // 2):
        factors = writer.constant(np.ldexp(np.float32(1), part).astype(np.float32))
        finite = writer.add("Mul", finite, writer.add("Gather", factors, index))
    mantissa = writer.add("Cast", finite, to=_INT64)
    starts = (np.maximum(np.arange(255), 1) - 1).astype(np.int64) * _MANTISSA
    bits = writer.add("Add", mantissa, writer.add("Gather", writer.constant(starts), index))
    infinite = writer.add("Cast", writer.add("IsInf", read), to=_INT64)
    return writer.add("Add", bits, infinite)


def _spread(writer: Writer, half: str, width: int, output: str) -> None:
    """Writes 16 bits as their lower byte, their upper byte twice, and 0."""
    byte, axis = writer.constant(np.int64(256)), writer.constant(np.array([2], np.int64))
    low, high = writer.add("Mod", half, byte), writer.add("Div", half, byte)
    none = writer.add("Sub", half, half)
    parts = [writer.add("Unsqueeze", part, axis) for part in (low, high, high, none)]
    joined = writer.add("Concat", *parts, axis=2)
    flat = writer.add("Reshape", joined, writer.constant(np.array([-1, width], np.int64)))
    writer.add("Cast", flat, outputs=[output], to=_UINT8)


@writes("tree_members")
def write_members(writer: Writer, step: Step) -> None:
    """Writes comparisons with all members, added up for each condition."""
    inputs, outputs = names(writer, step)
    arrays = step.arrays
    member_of = arrays["member_of"]
    read = _columns(writer, inputs[0], arrays["features"])
    absent = writer.add("And", writer.add("IsNaN", read), writer.constant(arrays["nan_true"]))
    found = writer.add("Cast", absent, to=_FLOAT)
    if len(member_of):
        values = _columns(writer, read, member_of)
        equal = writer.add("Equal", values, writer.constant(arrays["member_values"]))
        owner = (member_of[:, None] == np.arange(len(arrays["features"]))).astype(np.float32)
        counted = writer.add("MatMul", writer.add("Cast", equal, to=_FLOAT), writer.constant(owner))
        found = writer.add("Add", found, counted)
    outside = writer.add("Equal", found, writer.constant(np.float32(0)))
    writer.add("Cast", outside, outputs=outputs, to=_UINT8)


@writes("tree_input")
def write_input(writer: Writer, step: Step) -> None:
    """Writes columns side by side, padded to a full image."""
    inputs, outputs = names(writer, step)
    height, width = step.attributes["height"], step.attributes["width"]
    joined = writer.add("Concat", *inputs, axis=1) if len(inputs) > 1 else inputs[0]
    rows = writer.add("Shape", joined, start=0, end=1)
    missing = writer.add("Sub", writer.constant(np.array([height * width], np.int64)), rows)
    before, columns = (writer.constant(np.zeros(count, np.int64)) for count in (2, 1))
    pads = writer.add("Concat", before, missing, columns, axis=0)
    full = writer.add("Pad", joined, pads)
    size = writer.add("Shape", full, start=1, end=2)
    image = writer.constant(np.array([1, height, width], np.int64))
    shape = writer.add("Concat", image, size, axis=0)
    writer.add("Reshape", full, shape, outputs=outputs)


@writes("tree_digit_sums")
def write_digit_sums(writer: Writer, step: Step) -> None:
    """Writes counts times the weights of digits."""
    inputs, outputs = names(writer, step)
    arrays = step.arrays
    size = writer.add("Shape", inputs[0], start=3, end=4)
    every = writer.constant(np.array([-1], np.int64))
    shape = writer.add("Concat", every, size, axis=0)
    rows = writer.add("Reshape", inputs[0], shape)
    ends = (writer.constant(np.array([end], np.int64)) for end in (0, step.attributes["rows"]))
    rows = writer.add("Slice", rows, *ends)
    counts = writer.add("Cast", _columns(writer, rows, arrays["columns"]), to=_DOUBLE)
    whole = writer.add("MatMul", counts, writer.constant(arrays["weights"]))
    scaled = writer.add("Mul", whole, writer.constant(arrays["step"]))
    writer.add("Add", scaled, writer.constant(arrays["offset"]), outputs=outputs)


def _columns(writer: Writer, value: str, columns: NDArray[Any]) -> str:
    return writer.add("Gather", value, writer.constant(columns.astype(np.int64)), axis=1)


def _two_digits(writer: Writer, codes: str, step: Step, output: str) -> None:
    """Writes all but the first `single` codes as a multiple of 128 and what is left."""
    single, count = step.attributes["single"], len(step.arrays["features"])
    if single == count:
        writer.add("Cast", codes, outputs=[output], to=_UINT8)
        return
    small = _columns(writer, codes, np.arange(single))
    large = _columns(writer, codes, np.arange(single, count))
    base = writer.constant(np.int32(128))
    digits = [small, writer.add("Div", large, base), writer.add("Mod", large, base)]
    joined = writer.add("Concat", *digits, axis=1)
    writer.add("Cast", joined, outputs=[output], to=_UINT8)


def _search(
    writer: Writer,
    rows: str,
    thresholds: Sequence[NDArray[np.float32]],
    features: NDArray[np.int32],
    nan_true: NDArray[np.bool_],
) -> str:
    """Writes how many of its thresholds each feature exceeds, float32 [N, features]."""
    arrays, weights = _balanced(thresholds, features, nan_true)
    return write_trees(writer, Trees(arrays), rows, weights, len(thresholds))


def _balanced(
    thresholds: Sequence[NDArray[np.float32]],
    features: NDArray[np.int32],
    nan_true: NDArray[np.bool_],
) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.float64]]:
    """Search trees in the arrays of `walk`, and target and weight of each node."""
    nodes: list[list[int]] = []
    weights: list[tuple[int, int]] = []
    roots = []
    first = 0

    def grow(tree: int, low: int, high: int) -> int:
        at, middle = len(nodes), (low + high) // 2
        nodes.append([-1 if low == high else first + middle, -1, -1])
        weights.append((tree, low if low == high else 0))
        if low < high:
            nodes[at][1] = grow(tree, low, middle)
            nodes[at][2] = grow(tree, middle + 1, high)
        return at

    for tree, values in enumerate(thresholds):
        roots.append(grow(tree, 0, len(values)))
        first += len(values)
    of = np.repeat(np.arange(len(thresholds)), [len(values) for values in thresholds])
    table = np.array(nodes, np.int32)
    return {
        "features": features[of],
        "thresholds": np.concatenate(thresholds),
        "nan_true": nan_true[of],
        "member_of": np.zeros(0, np.int32),
        "member_values": np.zeros(0, np.float32),
        "condition": table[:, 0],
        "on_true": table[:, 1],
        "on_false": table[:, 2],
        "roots": np.array(roots, np.int32),
    }, np.array(weights, np.float64)
