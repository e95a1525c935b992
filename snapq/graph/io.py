"""Loading and saving of ONNX models: any IR version, external data, damaged files refused."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from snapq import storage
from snapq.errors import ModelError
from snapq.graph import wire
from snapq.graph.declared import (
    SHOWN,
    check_functions,
    check_tensors,
    damaged,
    densify,
    external_files,
    locate_tensors,
)
from snapq.graph.list_outputs import split_lists
from snapq.graph.other_formats import refuse_folder, refuse_other_format
from snapq.graph.rows_first import put_rows_first
from snapq.graph.shapes import quiet
from snapq.graph.text_inputs import number_texts
from snapq.graph.texts import has_only_text
from snapq.graph.zip_maps import drop_zip_maps
from snapq.runtime import release_memory
from snapq.scratch import Scratch

_WORTH_RELEASING = 1 << 26
APART = "memory"
"""Where `by_reference` says that weights are."""
OLDEST_OPSET = 7
IN_MEMORY_LIMIT = 1_900_000_000
"""Bytes of weights above which a model is kept in, and written to, a file beside the graph."""


def load(path: Path, limit: int = IN_MEMORY_LIMIT) -> ir.Model:
    """Loads an ONNX model; weights in other files are read from beside it.

    Args:
        path: the file.
        limit: bytes of external weights from which they stay mapped, and are not read into memory.

    Raises:
        ModelError: the file is missing, empty, cut off, damaged, not ONNX or of an opset that is
            not supported, or its external data is missing, too short or outside its folder.
    """
    where = str(path)
    read = _parse(path)
    proto, large = read.proto, read.weights
    if not has_only_text(proto):
        raise damaged("The file has a name that is not UTF-8.", path)
    _check_opset(proto, where)
    drop_zip_maps(proto)
    number_texts(proto)
    split_lists(proto)
    put_rows_first(proto)
    check_tensors(proto, path, large)
    densify(proto, path)
    locate_tensors(proto, path)
    try:
        with quiet("onnx_ir"), warnings.catch_warnings(action="ignore"):
            model = ir.serde.deserialize_model(proto)
    except Exception as error:
        raise damaged(f"The model's graph is damaged: {_reason(error)}", path) from error
    for name, tensor in large.items():
        model.graph.initializers[name].const_value = tensor
    check_functions(model)
    _check_connections(model, path)
    mapped = (item for item in _model_tensors(model) if isinstance(item, ir.ExternalTensor))
    beside = sum(tensor.nbytes for tensor in mapped)
    if beside < limit:
        if beside >= _WORTH_RELEASING:
            release_memory()
        model = ir.external_data.load_to_model(model)
    return model


def refuse_compiled(model: ir.Model, path: Path) -> None:
    """Raises `ModelError` where what a model computes is in a binary, as in a `*_ctx.onnx`."""
    if any(node.op_type == "EPContext" for node in model.graph):
        raise ModelError(
            "The model is compiled: its nodes are inside a binary.",
            where=str(path),
            hint="Give the model that it was compiled from. `snapq inspect` reads the .bin file "
            "beside it, and `snapq simulate` and `snapq estimate` take it as it is.",
        )


def weight_bytes(model: ir.Model) -> int:
    """Bytes of all constants of a model."""
    return sum(tensor.nbytes for tensor in _model_tensors(model))


def by_reference(model: ir.Model, limit: int) -> tuple[bytes, dict[str, np.ndarray]] | None:
    """The model as one message without its large weights, and these by name, without a copy.

    For ONNX Runtime, which takes them from memory. Left in the message are weights that are inputs
    or outputs as well, those that nothing reads, which ONNX Runtime drops before it asks for them,
    and those of types that numpy has not. None where more than `limit` bytes would be left.
    """
    taken = [
        (name, value, held)
        for name, value in model.graph.initializers.items()
        if (held := value.const_value) is not None
        and held.nbytes >= wire.LARGE
        and held.dtype in wire.PLAIN
        and not (value.is_graph_input() or value.is_graph_output())
        and value.uses()
    ]
    chosen = {name for name, _, _ in taken}
    small = [
        (value, held)
        for name, value in model.graph.initializers.items()
        if isinstance(held := value.const_value, ir.ExternalTensor) and name not in chosen
    ]
    try:
        for name, value, held in taken:
            shape = ir.Shape(held.shape.numpy())
            value.const_value = ir.ExternalTensor(
                APART, 0, held.nbytes, held.dtype, shape=shape, name=name
            )
        for value, held in small:  # else the message would name the file that they were read from
            value.const_value = ir.Tensor(held.numpy(), dtype=held.dtype, name=held.name)
        if weight_bytes(model) - sum(held.nbytes for _, _, held in taken) > limit:
            return None
        message = bytes(ir.serde.serialize_model(model).SerializeToString())
    finally:
        for value, held in (*((value, held) for _, value, held in taken), *small):
            value.const_value = held
    return message, {name: held.numpy() for name, _, held in taken}


def serialized(model: ir.Model) -> bytes:
    """The model as one protobuf message of at most 2 GB, the same bytes for the same model."""
    return b"".join(wire.pieces(model))


def digest(model: ir.Model, limit: int = IN_MEMORY_LIMIT) -> str:
    """SHA-256 of a model, whatever its size, in hexadecimal; the same for the same model."""
    if weight_bytes(model) <= limit:
        found = hashlib.sha256()
        for piece in wire.pieces(model):
            found.update(piece)
        return found.hexdigest()
    with Scratch() as scratch:
        path = scratch.path / "model.onnx"
        save(model, path, limit)
        parts = f"{storage.sha256_file(path)} {storage.sha256_file(_beside(path))}"
    return hashlib.sha256(parts.encode()).hexdigest()


def save(model: ir.Model, path: Path, limit: int = IN_MEMORY_LIMIT) -> None:
    """Writes the model whole or not at all; over 1.9 GB its weights go to `NAME.onnx.data`.

    Args:
        model: the model.
        path: the file.
        limit: bytes of weights above which they go to a second file.

    Raises:
        StorageError: the file cannot be written.
    """
    if weight_bytes(model) <= limit:
        storage.write_pieces(path, wire.pieces(model))
        return
    data = _beside(path).name
    with storage.storage_errors(path):
        storage.require_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.parent / f"{storage.TEMPORARY}{path.name}"
    with storage.atomic_folder(scratch / "whole") as folder:
        ir.save(model, folder / path.name, external_data=data)
    with storage.storage_errors(path):
        (scratch / "whole" / data).replace(path.parent / data)
        (scratch / "whole" / path.name).replace(path)
        (scratch / "whole").rmdir()
        scratch.rmdir()


def files(path: Path) -> list[Path]:
    """The absolute paths of a model's file and of those with its external weights.

    Raises:
        ModelError: as `load`.
    """
    proto = None
    with suppress(OSError):
        size = path.stat().st_size
        if path.is_file() and size < 1 << 31:
            with path.open("rb") as file:
                proto = wire.message(file, size)
    if proto is not None:
        return [path.absolute(), *external_files(proto, path)]
    tensors = _model_tensors(load(path, limit=0))
    beside = {Path(one.path) for one in tensors if isinstance(one, ir.ExternalTensor)}
    return [path.absolute(), *sorted(one.absolute() for one in beside)]


def copy(source: Path, target: Path) -> None:
    """Copies a model that `save` wrote, whole or not at all.

    Raises:
        ModelError: the file is not a model (see `load`).
        StorageError: the copy cannot be written.
    """
    if _beside(source).is_file():
        save(load(source), target, limit=0)
        return
    with storage.atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _beside(path: Path) -> Path:
    """Where the weights of a large model go."""
    return path.with_name(path.name + ".data")


def _parse(path: Path) -> wire.Apart:
    where = str(path)
    if path.is_dir():
        refuse_folder(path)
    read, data = None, b""
    try:
        size = path.stat().st_size
        if not path.is_file():  # a pipe or a device has no end
            raise ModelError("This is no file on a disk.", where=where, hint="Name an .onnx file.")
        if size < 1 << 31:
            if size >= _WORTH_RELEASING:
                release_memory()  # of models that nobody needs any more: graphs are circles
            with path.open("rb") as file:
                read = wire.read(file, size)
                file.seek(0)
                data = file.read() if read is None else b""
    except FileNotFoundError:
        raise ModelError("There is no such file.", where=where, hint="Check the path.") from None
    except OSError as error:
        raise ModelError(
            f"The file cannot be read: {error.strerror}.", where=where, hint="Check it."
        ) from error
    if not size:
        raise damaged("The file is empty.", path)
    if size >= 1 << 31:
        with path.open("rb") as file:
            refuse_other_format(path, file.read(64))
        raise ModelError(
            "The file is over 2 GB, more than an ONNX file can hold.",
            where=where,
            hint="Export it with its weights in a separate file (external data).",
        )
    if read is None:
        try:
            read = wire.Apart(onnx.load_from_string(data), {})
        except Exception:  # the class of the error depends on protobuf's implementation
            refuse_other_format(path, data)
            raise damaged("The file is not ONNX, or it is cut off or damaged.", path) from None
    proto = read.proto
    if not proto.HasField("graph") or not (proto.graph.output and proto.ir_version):
        refuse_other_format(path, data or path.read_bytes())
        is_model = bool(proto.graph.node and proto.ir_version)
        what = "The model has no output." if is_model else "The file is not an ONNX model."
        raise damaged(what, path)
    return read


def _check_connections(model: ir.Model, path: Path) -> None:
    """Sorts nodes so that what one reads stands in front of it; refuses what nothing makes."""
    reads = [
        (f"{node.op_type} '{_name(node)}' reads", value)
        for node in model.graph.all_nodes()
        for value in node.inputs
        if value is not None
    ]
    for what, value in (*reads, *(("An output is", value) for value in model.graph.outputs)):
        known = value.is_graph_input() or value.is_initializer() or value.producer() is not None
        if not known:
            raise damaged(f"{what} '{str(value.name)[:SHOWN]}', which nothing makes.", path)
    twice = [
        name for name, count in Counter(v.name for v in model.graph.outputs).items() if count > 1
    ]
    if twice:
        raise ModelError(
            f"The output '{str(twice[0])[:SHOWN]}' is listed twice.",
            where=str(path),
            hint="List it once, or put an Identity in front of the second.",
        )
    try:
        model.graph.sort()
    except ValueError as error:
        raise damaged("Nodes read each other's results in a circle.", path) from error


def _name(node: ir.Node) -> str:
    """The name of a node, or of what it makes where it has none."""
    return (node.name or next((str(v.name) for v in node.outputs if v.name), ""))[:SHOWN]


def _reason(error: BaseException) -> str:
    """The first line of the error that began it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check_opset(proto: onnx.ModelProto, where: str) -> None:
    versions = {entry.domain or "": entry.version for entry in proto.opset_import}
    version = versions.get("", versions.get("ai.onnx", 1 if not versions else None))
    newest = onnx.defs.onnx_opset_version()
    if version is not None and not OLDEST_OPSET <= version <= newest:
        raise ModelError(
            f"The model uses opset {version}; {OLDEST_OPSET} to {newest} are supported.",
            where=where,
            hint=f"Export it with opset {min(max(version, 17), newest)}.",
        )


def _model_tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
        for node in graph:
            for attribute in node.attributes.values():
                if attribute.type is ir.AttributeType.TENSOR and not attribute.is_ref():
                    # `as_tensor` checks all members of the protocol, which costs more than the rest
                    yield attribute.value
