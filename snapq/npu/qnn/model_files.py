"""An ONNX model as files: what it refers to, and a copy of it under a name that never changes.

The provider derives the name of the compiled graph from the path of the model as given, so the
same model from another folder would compile to other bytes. Compilation therefore works on a
staged model, `model.onnx` in the worker's own folder.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from snapq.errors import ConfigError, ModelError
from snapq.graph.texts import has_only_text
from snapq.storage import storage_errors

STAGED_NAME = "model.onnx"

_IR_VERSION_TAG, _MORE_BYTES = 0x08, 0x80
_OLDEST_IR_VERSION = 10
"""What every ONNX Runtime reads that takes the provider as a library (1.24)."""
_QUANTIZED = {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class ModelNode:
    """A node of the main graph."""

    name: str
    op_type: str
    output: str
    """First output that has a name."""


@dataclass(frozen=True)
class ModelFiles:
    """What a model file says of itself, weights left alone."""

    path: Path
    beside: tuple[str, ...]
    """Files that it refers to, relative to its folder: external weights, context binaries."""
    nodes: tuple[ModelNode, ...]
    """Of the main graph, without constants."""
    names_are_unique: bool
    compiled: bool
    """Whether it holds compiled parts (EPContext)."""
    container: bool
    """Whether the compiled parts are a container for several SoCs."""
    quantized: bool
    """Whether it holds Q or DQ nodes."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: tuple[tuple[str, str], ...]
    """Name and shape of each input with a dimension that is not fixed."""
    qairt: str | None
    """QAIRT version that compiled it."""
    ir_version: int
    """Version of ONNX's file format that it says."""

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(path.stat().st_size for path in self.all_paths())

    def all_paths(self) -> Iterator[Path]:
        """The model and every file that it refers to."""
        yield self.path
        for name in self.beside:
            yield self.path.parent / name


def read(path: Path) -> ModelFiles:
    """Reads the structure of a model.

    Raises:
        ModelError: it is missing, not ONNX or damaged, or a file that it refers to is missing or
            outside its folder.
    """
    proto = _parse(path)
    beside = tuple(sorted(set(_references(proto, path))))
    nodes = tuple(
        ModelNode(node.name, node.op_type, next((o for o in node.output if o), ""))
        for node in proto.graph.node
        if node.op_type != "Constant"
    )
    counts = Counter(node.name for node in nodes)
    initializers = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initializers]
    contexts = [node for node in proto.graph.node if node.op_type == "EPContext"]
    return ModelFiles(
        path=path.absolute(),
        beside=beside,
        nodes=nodes,
        names_are_unique=all(count == 1 and name for name, count in counts.items()),
        compiled=bool(contexts),
        container=any(_number(node, "is_multi_soc_ep_context") for node in contexts),
        quantized=any(node.op_type in _QUANTIZED for node in nodes),
        inputs=tuple(value.name for value in inputs),
        outputs=tuple(value.name for value in proto.graph.output),
        dynamic=tuple((value.name, shape) for value in inputs if (shape := _dynamic(value))),
        qairt=_text(contexts[0], "ep_sdk_version").removeprefix("v") or None if contexts else None,
        ir_version=proto.ir_version,
    )


def stage(model: ModelFiles, folder: Path, *, name_nodes: bool = False) -> None:
    """Puts a model into `folder` as `model.onnx`, with the files that it refers to.

    Files are linked where the system allows it and copied elsewhere; nothing writes to them.

    Args:
        model: what `read` gave.
        folder: where to put it.
        name_nodes: give nodes without a name of their own one, so that they can be told apart:
            `Conv_3`, the fourth node without constants.

    Raises:
        StorageError: the folder cannot be written.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if name_nodes and not model.names_are_unique:
            (folder / STAGED_NAME).write_bytes(_with_names(model.path))
        else:
            _link(model.path, folder / STAGED_NAME)
        for name in model.beside:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(model.path.parent / name, target)


def lower_ir_version(path: Path, version: int) -> None:
    """Lets a model file say an older version of ONNX's format; of a later one nothing else changes.

    The provider gives what it compiles the newest version that its own ONNX Runtime knows, and
    older ones, as applications ship them, refuse the file for that number alone.

    Raises:
        StorageError: the file cannot be read or written.
    """
    with storage_errors(path), path.open("r+b") as file:
        tag, said = file.read(2)
        # The field is the first one, and its number a single byte.
        wanted = max(version, _OLDEST_IR_VERSION)
        if tag == _IR_VERSION_TAG and wanted < said < _MORE_BYTES:
            file.seek(1)
            file.write(bytes([wanted]))


def check_static(model: ModelFiles) -> None:
    """Refuses a model with dynamic input shapes.

    Raises:
        ModelError: names each input and its shape; the NPU compiles for fixed shapes only.
    """
    if model.dynamic:
        listed = ", ".join(f"{name} {shape}" for name, shape in model.dynamic)
        raise ModelError(
            f"The shape of an input is not fixed: {listed}.",
            where=str(model.path),
            hint="Give the shapes in model.inputs.",
        )


def check_compilable(model: ModelFiles, *, fp16: bool) -> None:
    """Refuses a model with dynamic shapes, and a float one where fp16 was not asked for.

    Raises:
        ModelError: as `check_static`.
        ConfigError: the NPU has no other floating point, so the precision would be a silent choice.
    """
    check_static(model)
    if not (model.quantized or model.compiled or fp16):
        raise ConfigError(
            "The model is float, and 16-bit floating point was not asked for.",
            where=str(model.path),
            hint="Quantize it, or compile with fp16.",
        )


def unique_names(nodes: tuple[ModelNode, ...]) -> tuple[str, ...]:
    """The nodes' names; a node without one, or with another's, is called `Conv_3` by its place."""
    taken = {node.name for node in nodes}
    seen: set[str] = set()
    names = []
    for index, node in enumerate(nodes):
        name = node.name
        if not name or name in seen:
            name = f"{node.op_type}_{index}"
            while name in taken:
                name += "_"
            taken.add(name)
        seen.add(name)
        names.append(name)
    return tuple(names)


def _with_names(path: Path) -> bytes:
    proto = _parse(path)
    nodes = [node for node in proto.graph.node if node.op_type != "Constant"]
    names = unique_names(tuple(ModelNode(node.name, node.op_type, "") for node in nodes))
    for node, name in zip(nodes, names, strict=True):
        node.name = name
    return bytes(proto.SerializeToString(deterministic=True))


def _parse(path: Path) -> onnx.ModelProto:
    where = str(path)
    if not path.is_file():
        what = "This is a folder." if path.is_dir() else "There is no such file."
        raise ModelError(what, where=where, hint="Check the path.")
    try:
        proto: onnx.ModelProto = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ModelError(f"The file cannot be read: {error.strerror}.", where=where) from error
    except Exception:  # the class of the error depends on protobuf's implementation
        proto = onnx.ModelProto()
    if not proto.graph.output or not has_only_text(proto):
        raise ModelError(
            "The file is not ONNX, or it is cut off or damaged.",
            where=where,
            hint="Make or download the model again.",
        )
    return proto


def _references(proto: onnx.ModelProto, path: Path) -> Iterator[str]:
    for name in _referred(proto.graph):
        place = Path(os.path.normpath(name))
        if place.is_absolute() or place.parts[:1] == ("..",):
            raise ModelError(
                f"It refers to {name}, which is outside its folder.",
                where=str(path),
                hint="Export the model with its weights beside it.",
            )
        if not (path.parent / place).is_file():
            raise ModelError(
                f"The file {name}, which belongs to the model, is missing.",
                where=str(path),
                hint="Copy it beside the model.",
            )
        yield str(place)


def _referred(graph: onnx.GraphProto) -> Iterator[str]:
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield from (entry.value for entry in tensor.external_data if entry.key == "location")
    for node in graph.node:
        if node.op_type == "EPContext" and not _number(node, "embed_mode"):
            name = _text(node, "ep_cache_context")
            if name:
                yield name
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _referred(attribute.g)
            for inner in attribute.graphs:
                yield from _referred(inner)


def _dynamic(value: onnx.ValueInfoProto) -> str:
    """The shape as text where a dimension is not fixed, else nothing."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):  # a sequence or an optional has no one shape
        return ""
    if not kind.HasField("shape"):
        return "(no shape)"
    sizes = [
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in kind.shape.dim
    ]
    return "" if all(size.isdigit() for size in sizes) else f"[{', '.join(sizes)}]"


def _number(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)


def _text(node: onnx.NodeProto, name: str) -> str:
    for attribute in node.attribute:
        if attribute.name == name:
            return str(attribute.s.decode("utf-8", "replace"))
    return ""


def _link(source: Path, target: Path) -> None:
    """Makes a file appear in another folder, without copying where the system allows that."""
    original = source.resolve()
    for attempt in (os.link, os.symlink):
        try:
            attempt(original, target)
        except OSError:  # another file system, or one without such links
            continue
        return
    shutil.copyfile(original, target)
