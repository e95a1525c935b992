"""What a file declares, checked before anything is made of it: a file can declare anything."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.limits import limits_for

__all__ = [
    "SHOWN",
    "check_functions",
    "check_tensors",
    "damaged",
    "densify",
    "external_files",
    "locate_tensors",
]

MOST_NODES = 100_000
"""Nodes of a model with its functions written out."""
SHOWN = 60
"""Characters of a name that is told."""
_LISTS = ("float_data", "double_data", "int32_data", "int64_data", "uint64_data", "string_data")
_COMPLEX = (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)


def damaged(what: str, path: Path) -> ModelError:
    """The error for a file that is not what it was when it was written."""
    return ModelError(what, where=str(path), hint="Download or export the model again.")


def check_tensors(proto: onnx.ModelProto, path: Path, apart: Collection[str] = ()) -> None:
    """Refuses weights that are not all there, or more than their shape says.

    Initializers of the main graph whose names are in `apart` are known to be sound.

    Raises:
        ModelError: the tensor and what is wrong; cut-off files often parse.
    """
    for tensor in _tensors(proto, apart):
        _check_tensor(tensor, path)


def locate_tensors(proto: onnx.ModelProto, path: Path) -> None:
    """Names the files in which weights lie by their whole path, once `check_tensors` has passed.

    Otherwise they are looked for in the working directory where they belong to functions, and
    refused where the file has a second hard link, as those of package managers and of copies that
    save space have.
    """
    folder = path.parent.resolve()
    for tensor in _tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = str((folder / entry.value).resolve())


def external_files(proto: onnx.ModelProto, path: Path) -> list[Path]:
    """The absolute paths of the files beside a model in which weights lie.

    Raises:
        ModelError: as `check_tensors`, of these weights.
    """
    folder, found = path.parent.resolve(), set[Path]()
    for tensor in _tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_tensor(tensor, path)
            places = (one.value for one in tensor.external_data if one.key == "location")
            found.update((folder / place).resolve() for place in places)
    return sorted(found)


def _check_tensor(tensor: onnx.TensorProto, path: Path) -> None:
    name = tensor.name[:SHOWN]
    if tensor.data_type == onnx.TensorProto.UNDEFINED:
        raise damaged(f"The weights '{name}' have no type.", path)
    bits = _bits(tensor, path)
    if any(dim < 0 for dim in tensor.dims):
        raise damaged(f"The weights '{name}' have the shape {list(tensor.dims)}.", path)
    size = (prod(tensor.dims) * bits + 7) // 8
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, size, path)
    elif tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
        if held < size:
            told = f"{held} of {size} bytes"
            raise damaged(f"The weights '{name}' are cut off: {told}.", path)
        if held > size and bits:
            told = f"{held} bytes for a shape of {size}"
            raise damaged(f"The weights '{name}' are more than they say: {told}.", path)
    else:
        _check_list(tensor, bits, path)


def _check_list(tensor: onnx.TensorProto, bits: int, path: Path) -> None:
    """Checks weights that are written as a list of numbers."""
    count = prod(tensor.dims)
    expected = count * (2 if tensor.data_type in _COMPLEX else 1)
    if 0 < bits < 8:
        expected = (count * bits + 7) // 8
    held = sum(len(getattr(tensor, field)) for field in _LISTS)
    # Some writers give each number of less than a byte a place of its own.
    if held not in (expected, count):
        raise damaged(
            f"The weights '{tensor.name[:SHOWN]}' have {held} numbers, and their shape "
            f"{list(tensor.dims)} has {count}.",
            path,
        )


def _check_external(tensor: onnx.TensorProto, size: int, path: Path) -> None:
    where, name = str(path), tensor.name[:SHOWN]
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = facts.get("location", "")
    data = _inside(location, path)
    if data is None:
        raise ModelError(
            f"The weights '{name}' are said to be in '{location[:SHOWN]}', outside the model's "
            "folder; this is not followed.",
            where=where,
            hint="Save the model with its external data beside it.",
        )
    if not data.is_file():
        raise ModelError(
            f"The file '{location}' with the weights '{name}' is missing.",
            where=where,
            hint=f"Put it at {data}.",
        )
    offset = _whole(facts, "offset", name, path)
    length = _whole(facts, "length", name, path)
    if facts.get("length") and length < size:
        raise damaged(
            f"The weights '{name}' have {length} bytes in '{location}', and their shape needs "
            f"{size}.",
            path,
        )
    end = offset + max(length, size)
    if end > data.stat().st_size:
        raise damaged(
            f"The file '{location}' is cut off: the weights '{name}' end at byte {end} and "
            f"the file has {data.stat().st_size}.",
            path,
        )


def _inside(location: str, path: Path) -> Path | None:
    """The file that a location names; None where it is not in the folder, or no name of a file.

    Where the model is a link, what it names may be one into the folder that the link leads to: so
    caches of downloads keep files.
    """
    try:
        if not location or Path(location).is_absolute():
            return None
        folder = path.parent.resolve()
        data = (folder / location).resolve()
        data.is_file()
        folders = (folder, path.resolve().parent)
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, a link to itself
        return None
    named = Path(os.path.normpath(folder / location))
    inside = named.is_relative_to(folder) and any(map(data.is_relative_to, folders))
    return data if inside else None


def _whole(facts: Mapping[str, str], key: str, name: str, path: Path) -> int:
    text = facts.get(key) or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise damaged(
            f"The {key} of the weights '{name}' in its file is '{text[:SHOWN]}', which is no "
            "number of bytes.",
            path,
        )
    return int(text)


def _bits(tensor: onnx.TensorProto, path: Path) -> int:
    kind = tensor.data_type
    if kind == onnx.TensorProto.STRING:
        return 0
    try:
        return int(ir.DataType(kind).bitwidth)
    except (ValueError, TypeError):
        raise damaged(
            f"The weights '{tensor.name[:SHOWN]}' are of type {kind}, which ONNX does not have.",
            path,
        ) from None


def densify(proto: onnx.ModelProto, path: Path) -> None:
    """Writes sparse initializers out, in place: nothing downstream knows them.

    Raises:
        ModelError: an index, a shape or a length is wrong, or the whole would be too large.
    """
    for graph in _graphs(proto.graph):
        for sparse in graph.sparse_initializer:
            graph.initializer.append(_dense(sparse, path))
        del graph.sparse_initializer[:]


def _dense(sparse: onnx.SparseTensorProto, path: Path) -> onnx.TensorProto:
    name, dims = sparse.values.name, tuple(sparse.dims)
    try:
        values = onnx.numpy_helper.to_array(sparse.values, str(path.parent))
        indices = onnx.numpy_helper.to_array(sparse.indices, str(path.parent))
    except Exception as error:  # whatever NumPy makes of damaged bytes
        raise damaged(f"The sparse weights '{name}' cannot be read: {error}", path) from error
    limits = limits_for(len(sparse.SerializePartialToString()))
    size = prod(dims) * values.dtype.itemsize
    if any(dim < 0 for dim in dims) or size > limits.memory // 4:
        raise ModelError(
            f"The sparse weights '{name}' would take {size / 1e9:.3g} GB when written out, as "
            f"{list(dims)}.",
            where=str(path),
            hint=limits.memory_hint,
        )
    dense = np.zeros(dims, values.dtype)
    places = indices if indices.ndim == 1 else _flat(indices, dims)
    sound = (
        places is not None
        and places.dtype.kind in "iu"
        and places.shape == values.shape
        and (not places.size or (places.min() >= 0 and places.max() < dense.size))
    )
    if not sound or places is None:
        raise damaged(
            f"The indices of the sparse weights '{name}' do not fit {values.size} values in the "
            f"shape {list(dims)}.",
            path,
        )
    dense.reshape(-1)[places] = values
    return onnx.numpy_helper.from_array(dense, name)


def _flat(indices: np.ndarray, dims: tuple[int, ...]) -> np.ndarray | None:
    """Places in the flattened array of what is given by an index for each axis."""
    if indices.ndim != 2 or indices.shape[1] != len(dims) or indices.dtype.kind not in "iu":
        return None
    if ((indices < 0) | (indices >= np.asarray(dims))).any():
        return None
    return np.asarray(np.ravel_multi_index(tuple(indices.T), dims))


def check_functions(model: ir.Model) -> None:
    """Refuses functions that call themselves, and those that make too many nodes.

    Raises:
        ModelError: the function, and how many nodes it would become.
    """
    sizes: dict[object, int] = {}
    open_calls: set[object] = set()

    def size_of(name: object, nodes: Iterator[ir.Node]) -> int:
        if name in sizes:
            return sizes[name]
        if name in open_calls:
            raise ModelError("The function calls itself.", where=_function_name(name), hint=_HINT)
        open_calls.add(name)
        total = 0
        for node in nodes:
            called = node.op_identifier()
            inner = model.functions.get(called)
            total += 1 if inner is None else size_of(called, inner.all_nodes())
        open_calls.discard(name)
        sizes[name] = total
        if total > MOST_NODES:
            raise ModelError(
                f"Written out, the function is {total:.3g} nodes; at most {MOST_NODES:,} are read.",
                where=_function_name(name),
                hint=_HINT,
            )
        return total

    size_of(None, model.graph.all_nodes())


_HINT = "Export the model without functions, as PyTorch does with `optimize=True`."


def _function_name(name: object) -> str:
    return ".".join(filter(None, name)) if isinstance(name, tuple) else "the graph"


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _tensors(proto: onnx.ModelProto, apart: Collection[str] = ()) -> Iterator[onnx.TensorProto]:
    """All tensors of a model, but for initializers of the main graph of these names."""
    for number, graph in enumerate(_graphs(proto.graph)):
        yield from (one for one in graph.initializer if number or one.name not in apart)
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from _tensors_of(graph.node)
    for function in proto.functions:
        yield from _tensors_of(function.node)


def _tensors_of(nodes: object) -> Iterator[onnx.TensorProto]:
    for node in nodes:  # type: ignore[attr-defined]
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
