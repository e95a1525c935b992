"""Weights and constants: types, shapes, data, and where they are said to lie."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.robustness.mutations.values import (
    FLOATS,
    HUGE,
    INTEGERS,
    TYPES,
    another,
    tensors_of,
)


def missing_weight(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Takes an initializer out."""
    if not model.graph.initializer:
        return None
    place = random.randrange(len(model.graph.initializer))
    name = model.graph.initializer[place].name
    del model.graph.initializer[place]
    return f"initializer {name} is missing"


def wrong_weight(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives a weight another type, rank or amount of data."""
    tensors = tensors_of(model)
    if not tensors:
        return None
    tensor = random.choice(tensors)
    how = random.choice(("type", "rank", "huge", "zero", "data", "negative", "lists"))
    if how == "type":
        tensor.data_type = random.choice(TYPES)
    elif how == "rank":
        tensor.dims.append(random.choice((1, 2, 3)))
    elif how == "huge" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice((*HUGE, 1 << 31, 1 << 20))
    elif how == "zero" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = 0
    elif how == "negative" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice((-1, -5))
    elif how == "data":
        tensor.raw_data = another(tensor.raw_data, random, ())
    else:
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0] * random.choice((0, 1, 5)))
    return f"weight {tensor.name}: {how}"


def wrong_parameter(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts other numbers into a small constant: shapes, axes, scales, zero points, rounds."""
    small = [one for one in tensors_of(model) if np.prod(one.dims, dtype=float) <= 8]
    if not small:
        return None
    tensor = random.choice(small)
    try:
        array = numpy_helper.to_array(tensor).copy()
    except Exception:
        return None
    if not array.size or array.dtype.kind not in "fiu":
        return None
    fresh: Any = random.choice((*INTEGERS, *HUGE) if array.dtype.kind != "f" else FLOATS)
    if array.dtype.kind != "f":
        limits = np.iinfo(array.dtype)
        fresh = max(limits.min, min(limits.max, fresh))
    array.flat[random.randrange(array.size)] = fresh
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"constant {tensor.name} holds {fresh}"


def sparse_fault(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Breaks a sparse initializer, or adds one."""
    if not model.graph.sparse_initializer:
        values = numpy_helper.from_array(np.ones(2, np.float32), "sparse")
        indices = numpy_helper.from_array(np.array([0, 1], np.int64), "indices")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    one = model.graph.sparse_initializer[0]
    how = random.choice(("dims", "index", "length", "rank", "type"))
    if how == "dims":
        one.dims[0] = random.choice((*HUGE, 0, -1, 1))
    elif how == "index":
        wrong = np.array([random.choice((-1, 99, 1 << 62)), 0], np.int64)
        one.indices.CopyFrom(numpy_helper.from_array(wrong, "indices"))
    elif how == "length":
        one.indices.CopyFrom(numpy_helper.from_array(np.arange(5), "indices"))
    elif how == "rank":
        one.indices.CopyFrom(numpy_helper.from_array(np.zeros((2, 3), np.int64), "indices"))
    else:
        one.indices.data_type = random.choice((1, 6, 8))
    return f"sparse: {how}"


def external_fault(model: onnx.ModelProto, random: Random, folder: Path) -> str | None:
    """Breaks where weights are said to be, or says it of one."""
    outside = [one for one in tensors_of(model) if one.external_data]
    if not outside:
        outside = list(model.graph.initializer[:1])
        for tensor in outside:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights.bin")
    if not outside:
        return None
    tensor = random.choice(outside)
    key = random.choice(("location", "location", "offset", "length", "missing", "loop", "folder"))
    if key == "missing":
        (folder / "weights.bin").unlink(missing_ok=True)
        return "external data: no file"
    if key in ("loop", "folder"):
        (folder / "weights.bin").unlink(missing_ok=True)
        if key == "loop":
            (folder / "weights.bin").symlink_to("weights.bin")
        else:
            (folder / "weights.bin").mkdir()
        return f"external data: a {key}"
    choices = {
        "location": (
            "",
            ".",
            "/etc/hostname",
            "../x",
            "a\x00b",
            "no.bin",
            "n" * 5000,
            "model.onnx",
        ),
        "offset": ("x", "-8", "1e3", "9" * 40, "4095", "", "²", "0x10"),
        "length": ("x", "-8", "1", "9" * 5000, "0", "99999"),
    }
    fresh = random.choice(choices[key])
    for entry in tensor.external_data:
        if entry.key == key:
            entry.value = fresh
            break
    else:
        tensor.external_data.add(key=key, value=fresh)
    return f"external data: {key} = {fresh[:20]!r}"
