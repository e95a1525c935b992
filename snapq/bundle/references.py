"""Checks that no model of a bundle makes its loader open a file that is not the bundle's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from snapq.bundle.schema import Manifest
from snapq.errors import StorageError

_MEND = "Do not use this bundle; build it anew with `snapq run`."


def check_references(folder: Path, manifest: Manifest) -> None:
    """Checks the external data and the context binaries that the ONNX files name.

    Raises:
        StorageError: a file is not ONNX, or names a file that the manifest does not list; or the
            tail does not take or give what the manifest says.
    """
    _check_tail(folder, manifest)
    listed = {file.path for file in manifest.files}
    models = {manifest.model, *(entry.model for entry in manifest.devices)}
    if manifest.tail is not None:
        models.add(manifest.tail.model)
    if manifest.host is not None:
        host = manifest.host
        models |= set(filter(None, (host.cpu, host.head_model, host.tail_model)))
    if "multi_soc" in manifest.extra:
        models.add(manifest.extra["multi_soc"])
    for model in sorted(models):
        path = folder / model
        for name in named_files(path):
            if not _is_listed(PurePosixPath(model).parent, name, listed):
                shown = "".join(c if c.isprintable() else "?" for c in name[:100])
                raise StorageError(
                    f"The model names the file '{shown}', which is not part of the bundle.",
                    where=str(path),
                    hint=_MEND,
                )


def _check_tail(folder: Path, manifest: Manifest) -> None:
    """What lies behind a cut must take and give what an application is told."""
    tail = manifest.tail
    if tail is None:
        return
    path = folder / tail.model
    graph = _parsed(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    takes = {value.name for value in graph.input} - constants
    gives = {value.name for value in (*graph.output, *manifest.outputs)}
    if takes != {item.name for item in tail.inputs} or not gives.issuperset(tail.outputs):
        raise StorageError(
            "The tail does not take or give what the manifest says.", where=str(path), hint=_MEND
        )


def _is_listed(parent: PurePosixPath, name: str, listed: set[str]) -> bool:
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    return plain and str(parent / path) in listed


def named_files(path: Path) -> Iterator[str]:
    """Names of the files that a model's loader would open."""
    model = _parsed(path)
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        part = waiting.pop()
        for tensor in _constants(part):
            yield from _external(tensor)
        for node in part.node:
            yield from _context_binary(node)
            for attribute in node.attribute:
                waiting += [attribute.g, *attribute.graphs]
                for tensor in (attribute.t, *attribute.tensors):
                    yield from _external(tensor)


def _parsed(path: Path) -> Any:
    """The model, its weights in other files left there. Raises `StorageError`."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from snapq.graph.texts import has_only_text

    try:
        model = onnx.load(str(path), load_external_data=False)
        if has_only_text(model):
            return model
    except (DecodeError, OSError, ValueError) as error:
        raise StorageError("The file is not an ONNX model.", where=str(path), hint=_MEND) from error
    raise StorageError("The model has a name that is not UTF-8.", where=str(path), hint=_MEND)


def _constants(part: Any) -> Iterator[Any]:
    """Initializers of a graph; a function has none."""
    yield from getattr(part, "initializer", ())
    for sparse in getattr(part, "sparse_initializer", ()):
        yield from (sparse.values, sparse.indices)


def _context_binary(node: Any) -> Iterator[str]:
    """The file that an EPContext node's provider would open."""
    if node.op_type != "EPContext":
        return
    attributes = {attribute.name: attribute for attribute in node.attribute}
    mode, cache = attributes.get("embed_mode"), attributes.get("ep_cache_context")
    if cache is not None and mode is not None and mode.i == 0:
        yield cache.s.decode("utf-8", "replace")


def _external(tensor: Any) -> Iterator[str]:
    if tensor.data_location == tensor.EXTERNAL:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")
