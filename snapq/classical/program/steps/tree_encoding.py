"""Tree ensembles at the boundary of the NPU: rows to bytes, counted digits to sums.

Every comparison that a tree makes survives exactly: the bytes hold all bits of a float32 in an
order-preserving form (limbs), its place among the thresholds of its feature (ranks), or the number
itself where it is an integer.
"""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step
from .trees import condition_truth

_SIGN = np.uint32(0x80000000)
_LOW = np.uint32(0xFFFF)
_SECOND_BYTE = np.uint32(0xFF00)


@operation("tree_limbs")
def limbs(step: Step, rows: Array) -> tuple[Array, Array]:
    """The order-preserving bits of each value: its lower and its upper 16 bits.

    Each half becomes four bytes: the lower one, the upper one twice (a weight has 7 bits, and the
    upper byte weighs 256), and 0.

    Args:
        step: arrays `features` int32 [G] and `nan_true` bool [G].
        rows: float32 [N, F].

    Returns:
        The lower and the upper halves, uint8 [N, 4 G] each.
    """
    keys = ordered_bits(rows[:, step.arrays["features"]], step.arrays["nan_true"])
    return _spread(keys & _LOW), _spread(keys >> np.uint32(16))


def ordered_bits(values: Array, nan_true: Array) -> Array:
    """Unsigned integers in the order of float32 values; -0.0 and 0.0 are equal.

    Args:
        values: float32 [N, G].
        nan_true: bool [G]; NaN is the least of all where true, else the greatest.

    Returns:
        uint32 [N, G].
    """
    bits = (values + np.float32(0)).view(np.int32)
    keys = bits.view(np.uint32) ^ ((bits >> 31).view(np.uint32) | _SIGN)
    absent = np.isnan(values)
    if absent.any():
        keys = np.where(absent, np.where(nan_true, np.uint32(0), np.uint32(0xFFFFFFFF)), keys)
    return np.asarray(keys, np.uint32)


def _spread(half: Array) -> Array:
    words = half | ((half & _SECOND_BYTE) << np.uint32(8))
    return np.ascontiguousarray(words, "<u4").view(np.uint8)


@operation("tree_ranks")
def ranks(step: Step, rows: Array) -> Array:
    """Counts the thresholds of its feature that each value exceeds.

    A table of equal buckets gives the count at the start of the value's bucket, and a search by
    halves among the thresholds in the bucket the rest. The bucket never falls where the value
    grows, so the comparison with the thresholds of other buckets is known.

    Args:
        step: arrays `features` int32 [G], `nan_true` bool [G], `low` and `scale` float32 [G] of
            the buckets (or `low` and `high` uint32 [G] in ordered bits), `starts` int32 [G x
            buckets] indices into `thresholds` float32 (ascending for each feature, with infinity
            behind), `first` int32 [G] where a feature's thresholds start, `counts` int32 [G];
            attributes `buckets`, `halvings`, `shift` (-1: buckets of equal width), `single`: the
            first so many features have at most 255 thresholds.
        rows: float32 [N, F].

    Returns:
        uint8 [N, single + 2 x (G - single)]: counts, then counts divided by 128, then what is left.
    """
    arrays = step.arrays
    values = rows[:, arrays["features"]]
    absent = np.isnan(values)
    at: Array = arrays["starts"][_bucket(step, values) + _first_buckets(step)]
    for halving in reversed(range(step.attributes["halvings"])):
        width = 1 << halving
        at += (values > arrays["thresholds"][at + (width - 1)]) * np.int32(width)
    counts = at - arrays["first"]
    if absent.any():
        counts = np.where(absent, np.where(arrays["nan_true"], 0, arrays["counts"]), counts)
    return two_digits(counts, step.attributes["single"])


def two_digits(numbers: Array, single: int) -> Array:
    """Writes all but the first `single` columns as a multiple of 128 and what is left.

    Args:
        numbers: integers [N, G]; up to 255 in the first `single` columns, up to 32,767 elsewhere.
        single: columns that need no second digit.

    Returns:
        uint8 [N, 2 G - single].
    """
    if single == numbers.shape[1]:
        return numbers.astype(np.uint8)
    large = numbers[:, single:]
    parts = [numbers[:, :single], large >> 7, large & 127]
    return np.concatenate([part.astype(np.uint8) for part in parts], 1)


def _first_buckets(step: Step) -> Array:
    groups = len(step.arrays["features"])
    return np.arange(groups, dtype=np.int32) * np.int32(step.attributes["buckets"])


def _bucket(step: Step, values: Array) -> Array:
    """The bucket of each value, int32 [N, G]; NaN may be anywhere."""
    arrays, shift = step.arrays, step.attributes["shift"]
    if shift >= 0:
        keys = ordered_bits(values, arrays["nan_true"])
        keys = np.minimum(np.maximum(keys, arrays["low"]), arrays["high"]) - arrays["low"]
        return np.asarray(keys >> np.uint32(shift)).astype(np.int32)
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values - arrays["low"]) * arrays["scale"]
    last = np.float32(step.attributes["buckets"] - 1)
    return np.asarray(np.fmin(np.fmax(places, np.float32(0)), last)).astype(np.int32)


@operation("tree_integers")
def integers(step: Step, rows: Array) -> Array:
    """Counts integers from the least threshold of their column.

    Args:
        step: arrays `features` int32 [G], `low` and `high` float32 [G] (values beyond count as
            these), `first` int32 [G] (what stands for `low`) and `absent` int32 [G] (for NaN);
            attribute `single`: the first so many columns take one byte.
        rows: float32 [N, F].

    Returns:
        uint8 [N, single + 2 x (G - single)].

    Raises:
        ValueError: a value is neither an integer nor NaN.
    """
    arrays = step.arrays
    values = rows[:, arrays["features"]]
    known = np.isfinite(values)
    wrong = (np.floor(values) != values) if known.all() else _is_no_integer(values)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"'{step.inputs[0]}' holds {values[row, column]} in column "
            f"{arrays['features'][column]}, which is no integer; the trees were put onto the NPU "
            "for integers"
        )
    near = np.fmin(np.fmax(values, arrays["low"]), arrays["high"])  # NaN counts as the least
    codes = (near - arrays["low"]).astype(np.int32) + arrays["first"]
    if not known.all():
        codes = np.where(known, codes, arrays["absent"])
    return two_digits(codes, step.attributes["single"])


def _is_no_integer(values: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(~np.isnan(values) & ((np.floor(values) != values) | np.isinf(values)))


@operation("tree_members")
def members(step: Step, rows: Array) -> Array:
    """Tells which values are members of a set.

    Args:
        step: arrays as `condition_truth` takes them, all thresholds NaN.
        rows: float32 [N, F].

    Returns:
        uint8 [N, C]: 0 where the value is a member, else 1.
    """
    return (~condition_truth(rows, step.arrays)).astype(np.uint8)


@operation("tree_input")
def model_input(step: Step, *columns: Array) -> Array:
    """Puts columns side by side into the shape that the NPU reads.

    Args:
        step: attributes `height` and `width`: so many rows are taken, those behind the last are 0.
        columns: uint8 [N, *], N at most height x width.

    Returns:
        uint8 [1, height, width, columns].
    """
    height, width = step.attributes["height"], step.attributes["width"]
    joined = columns[0] if len(columns) == 1 else np.concatenate(columns, 1)
    short = height * width - len(joined)
    if short:
        joined = np.concatenate([joined, np.zeros((short, joined.shape[1]), np.uint8)])
    return joined.reshape(1, height, width, joined.shape[1])


_ONE_THREAD = 200_000
"""Products of a matrix product that OpenBLAS computes in one thread (262,144 at most)."""


@operation("tree_digit_sums")
def sums(step: Step, digits: Array) -> Array:
    """Makes sums of counted digits.

    Args:
        step: arrays `columns` int32 [D], those of the estimator, `weights` float64 [D, targets],
            whole powers of the radix, `step` and `offset` float64 [targets]; attribute `rows`.
        digits: uint8 [1, height, width, columns] as the NPU gives them.

    Returns:
        float64 [rows, targets].
    """
    arrays = step.arrays
    counts = digits.reshape(-1, digits.shape[-1])[: step.attributes["rows"], arrays["columns"]]
    counts, weights = counts.astype(np.float64), arrays["weights"]
    # Whole numbers below 2^53: the product is exact in whatever order it is summed. In parts, as
    # OpenBLAS computes larger ones by threads, which wait for each other on a machine that is busy.
    size = max(1, _ONE_THREAD // max(1, weights.size))
    starts = range(0, max(1, len(counts)), size)
    product = np.concatenate([counts[start : start + size] @ weights for start in starts])
    return product * arrays["step"] + arrays["offset"]
