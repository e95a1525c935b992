"""Operators of ai.onnx.ml that prepare features: scaling, missing values, encodings."""

from __future__ import annotations

import numpy as np

from ..registry import operation
from ..step import Array, Step


@operation("Scaler")
def scale(step: Step, x: Array) -> Array:
    """Computes (x - offset) scale, in float32 (in float64 of a float64 input)."""
    wide = x.astype(np.float64) if x.dtype == np.float64 else x.astype(np.float32)
    scaled = (wide - step.arrays["offset"]) * step.arrays["scale"]
    return np.asarray(scaled, np.float32)


@operation("Imputer")
def impute(step: Step, x: Array) -> Array:
    """Puts values in the place of one that means that there is none."""
    missing = step.arrays["replaced_value"]
    found = x == missing
    if missing.dtype.kind == "f" and np.isnan(missing).all():
        found = np.isnan(x)
    values = step.arrays["imputed_values"]
    fitting = values if len(values) == x.shape[-1] else values[:1]
    return np.asarray(np.where(found, fitting, x))


@operation("Normalizer")
def normalize(step: Step, x: Array) -> Array:
    """Divides rows [N, F] by their largest value (MAX), sum of sizes (L1) or length (L2)."""
    values = x.astype(np.float32)
    norm = step.attributes.get("norm", "MAX")
    if norm == "MAX":
        total = np.max(values, axis=-1, keepdims=True)
    elif norm == "L1":
        total = np.sum(np.abs(values), axis=-1, keepdims=True, dtype=np.float32)
    else:
        squares = np.asarray(x * x, np.float32)
        total = np.sum(squares, axis=-1, keepdims=True, dtype=np.float32)
        roots = np.where(x < 0, -np.sqrt(squares / total), np.sqrt(squares / total))
        return np.asarray(np.where(total == 0, values, roots), np.float32)
    return np.asarray(np.where(total == 0, values, values / total), np.float32)


@operation("Binarizer")
def binarize(step: Step, x: Array) -> Array:
    """Gives 1 for what is above `threshold`, else 0.

    Raises:
        ValueError: a value is NaN, which ONNX Runtime refuses too.
    """
    if np.isnan(x).any() and not step.attributes.get("any_values", 0):
        raise ValueError("a Binarizer has no answer to NaN; impute missing values before it")
    return np.asarray(x > np.float32(step.attributes["threshold"]), x.dtype)


@operation("OneHotEncoder")
def one_hot(step: Step, x: Array) -> Array:
    """Gives a column a category, 1 where the value (cut to an integer) is that category.

    Raises:
        ValueError: a value is no category, and `zeros` does not allow that.
    """
    categories = step.arrays["categories"]
    values = x.astype(np.int64) if categories.dtype.kind == "i" else x
    found = values[..., None] == categories
    # Of equal categories the last one counts, as in a map that is filled from left to right.
    for index in range(len(categories) - 1):
        if (categories[index + 1 :] == categories[index]).any():
            found[..., index] = False
    strict = not step.attributes.get("zeros", 1) and not step.attributes.get("any_values", 0)
    if strict and not found.any(-1).all():
        raise ValueError("a value is in no category of a OneHotEncoder that wants one for each")
    return np.asarray(found, np.float32)


@operation("LabelEncoder")
def encode_labels(step: Step, x: Array) -> Array:
    """Maps keys to values; what is no key becomes `default`. NaN is a key like others."""
    keys, values, default = (step.arrays[name] for name in ("keys", "values", "default"))
    absent = np.isnan(keys) if keys.dtype.kind == "f" else np.zeros(len(keys), np.bool_)
    known, first = np.unique(keys[~absent], return_index=True)  # of equal keys the first one counts
    mapped = np.full(x.shape, default.reshape(-1)[0], values.dtype)
    if len(known):
        at = np.minimum(np.searchsorted(known, x), len(known) - 1)
        mapped = np.where(known[at] == x, values[~absent][first][at], mapped)
    if absent.any():
        mapped = np.where(np.isnan(x), values[absent][0], mapped)
    return np.asarray(mapped, values.dtype)


@operation("FeatureVectorizer")
def vectorize(step: Step, *values: Array) -> Array:
    """Puts features [N, …] one behind the other as float32, each cut or filled to its width."""
    parts = []
    for x, width in zip(values, step.attributes["inputdimensions"]):
        rows = np.reshape(x, (1, -1) if x.ndim == 1 else (len(x), -1)).astype(np.float32)
        padding = ((0, 0), (0, max(0, width - rows.shape[1])))
        parts.append(np.pad(rows[:, :width], padding))
    return np.concatenate(parts, axis=1)


@operation("ArrayFeatureExtractor")
def extract(_: Step, x: Array, indices: Array) -> Array:
    """Takes columns of the last axis by their indices."""
    taken = x[..., indices.reshape(-1)]
    return taken[None] if x.ndim == 1 else taken
