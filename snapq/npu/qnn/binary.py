"""What a compiled context binary says of itself: who made it, for which chip, with which I/O.

Read with Qualcomm's own library (`QnnSystemContext_getBinaryInfo`) in a worker, so that a damaged
file cannot take the caller down.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, byref, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snapq.errors import QnnError
from snapq.npu.qnn import availability, containers, workers
from snapq.npu.qnn import system_structs as c
from snapq.npu.qnn.catalogue import lookup
from snapq.storage import storage_errors

_CACHE = "htp.cache."
_TABLE_OFFSET = 32
_CREATE, _GET_BINARY_INFO = 0, 1
_MEGABYTE = 1 << 20
_MOST = 1 << 16
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a compiled graph."""

    name: str
    dtype: str
    """`float32`, `uint8`, or `ufixed8` for a quantized 8-bit value."""
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    """One value, or one a channel; empty where there is no encoding."""
    zero_point: tuple[int, ...]
    axis: int | None


@dataclass(frozen=True)
class GraphInfo:
    """A compiled graph."""

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    vtcm_mb: int | None
    """On-chip memory that it was compiled for; 4 also where the size was left to the compiler,
    which then plans with the SoC's own."""
    optimization_level: int | None
    spill_fill_bytes: int | None
    """Buffer in main memory for what does not fit on the chip."""


@dataclass(frozen=True)
class BinaryInfo:
    """A context binary."""

    build: str
    """QAIRT that made it, `2.51.0.260929181845`."""
    soc_id: int | None
    architecture: int | None
    """Hexagon version: 75 is v75."""
    graphs: tuple[GraphInfo, ...]
    bytes: int
    member: str | None = None
    """Name inside a multi-SoC container."""

    @property
    def vtcm_mb(self) -> int | None:
        """The largest on-chip memory that a graph was planned with."""
        return max((g.vtcm_mb for g in self.graphs if g.vtcm_mb is not None), default=None)

    @property
    def optimization_level(self) -> int | None:
        """Optimization level, where all graphs have the same."""
        levels = {graph.optimization_level for graph in self.graphs}
        return levels.pop() if len(levels) == 1 else None


def inspect_binary(path: Path) -> BinaryInfo:
    """Reads a context binary (`*_qnn.bin`).

    Raises:
        QnnError: it is not a context binary, is cut off or damaged, or of an unknown version.
        StorageError: it cannot be read.
        InstallError: Qualcomm's runtime is not installed or damaged.
    """
    return workers.call(_read_file, *_arguments(path), timeout_s=_TIMEOUT_S)


def inspect_container(path: Path) -> tuple[BinaryInfo, ...]:
    """Reads each context binary of a multi-SoC container. Raises as `inspect_binary`."""
    return workers.call(_read_container, *_arguments(path), timeout_s=_TIMEOUT_S)


def _arguments(path: Path) -> tuple[str, str]:
    availability.require()
    with storage_errors(path), path.open("rb"):
        pass
    return str(path.absolute()), str(availability.library("libQnnSystem"))


def _read_file(path: str, library: str) -> BinaryInfo:
    """Runs in a worker."""
    data = Path(path).read_bytes()
    if containers.is_container(Path(path)):
        raise QnnError(
            "This is a container (DLC), not a context binary.",
            where=Path(path).name,
            hint="Read it as a multi-SoC container.",
        )
    return _parse(data, library, Path(path).name, None)


def _read_container(path: str, library: str) -> tuple[BinaryInfo, ...]:
    """Runs in a worker."""
    file = Path(path)
    return tuple(
        _parse(containers.read(file, part), library, file.name, part.name)
        for part in containers.parts(file)
        if part.name.startswith(_CACHE)
    )


def _parse(data: bytes, library: str, where: str, member: str | None) -> BinaryInfo:
    table = _interface(library)
    handle = c_void_p()
    create = ctypes.CFUNCTYPE(c_uint64, POINTER(c_void_p))(table[_CREATE])
    _check(create(byref(handle)), where)
    buffer = ctypes.create_string_buffer(data, len(data))
    found = POINTER(c.Binary)()
    size = c_uint64()
    get = ctypes.CFUNCTYPE(
        c_uint64, c_void_p, c_void_p, c_uint64, POINTER(POINTER(c.Binary)), POINTER(c_uint64)
    )(table[_GET_BINARY_INFO])
    _check(get(handle, buffer, len(data), byref(found), byref(size)), where)
    if not found:
        raise _damaged(where)
    return _binary(found.contents, len(data), where, member)


def _interface(library: str) -> list[Any]:
    """The function table of libQnnSystem: a backend id, a name, a version, then the functions."""
    loaded = ctypes.CDLL(library)
    providers = POINTER(c_void_p)()
    count = ctypes.c_uint32()
    status = loaded.QnnSystemInterface_getProviders(byref(providers), byref(count))
    if status != 0 or count.value == 0 or not providers[0]:
        raise QnnError(
            "Qualcomm's system library offers no interface.",
            where=library,
            hint="Run: pip install --force-reinstall onnxruntime-qnn",
        )
    start = providers[0] + _TABLE_OFFSET
    return [c_void_p.from_address(start + 8 * index).value for index in range(2)]


def _binary(info: c.Binary, size: int, where: str, member: str | None) -> BinaryInfo:
    if info.version not in (1, 2, 3):
        raise QnnError(
            f"The binary's information has version {info.version}, which snapq does not know.",
            where=where,
            hint="Install the version of onnxruntime-qnn that it was made with.",
        )
    new = info.version == 3
    body = info.body.new if new else info.body.old
    architecture = None
    if new and body.metadata and body.metadata_size >= ctypes.sizeof(c.ContextBlob):
        architecture = int(c.ContextBlob.from_address(body.metadata).architecture)
    if body.graph_count > _MOST:
        raise _damaged(where)
    return BinaryInfo(
        build=_text(body.build).removeprefix("v"),
        soc_id=int(body.soc_model) if new else None,
        architecture=architecture,
        graphs=tuple(_graph(body.graphs[i].body, where) for i in range(body.graph_count)),
        bytes=size,
        member=member,
    )


def _graph(body: Any, where: str) -> GraphInfo:
    blob = None
    if body.blob and body.blob_size >= ctypes.sizeof(c.GraphBlob):
        blob = c.GraphBlob.from_address(body.blob)
    return GraphInfo(
        name=_text(body.name),
        inputs=tuple(_tensors(body.inputs, body.input_count, where)),
        outputs=tuple(_tensors(body.outputs, body.output_count, where)),
        vtcm_mb=int(blob.vtcm_bytes) // _MEGABYTE if blob else None,
        optimization_level=int(blob.optimization_level) if blob else None,
        spill_fill_bytes=int(blob.spill_fill_bytes) if blob else None,
    )


def _tensors(items: Any, count: int, where: str) -> Iterator[TensorInfo]:
    if count > _MOST:
        raise _damaged(where)
    for index in range(count):
        body = items[index].body
        if body.rank > 64:
            raise _damaged(where)
        scale, zero_point, axis = _encoding(body.quantize)
        yield TensorInfo(
            name=_text(body.name),
            dtype=c.DTYPES.get(body.dtype, f"0x{body.dtype:04x}"),
            shape=tuple(int(body.dimensions[i]) for i in range(body.rank)),
            scale=scale,
            zero_point=zero_point,
            axis=axis,
        )


def _encoding(params: c.QuantizeParams) -> tuple[tuple[float, ...], tuple[int, ...], int | None]:
    """Scale, zero point (the negated offset) and axis."""
    if params.definition != c.DEFINED:
        return (), (), None
    if params.encoding == c.SCALE_OFFSET:
        one = params.value.scale_offset
        return (float(one.scale),), (-int(one.offset),), None
    if params.encoding == c.AXIS_SCALE_OFFSET and params.value.axis_scale_offset.count <= _MOST:
        many = params.value.axis_scale_offset
        items = [many.items[i] for i in range(many.count)]
        return (
            tuple(float(item.scale) for item in items),
            tuple(-int(item.offset) for item in items),
            int(many.axis),
        )
    return (), (), None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")


def _check(status: int, where: str) -> None:
    if status == 0:
        return
    entry = lookup(str(status))
    if entry is None:
        raise QnnError(f"Qualcomm's system library failed with code {status}.", where=where)
    raise QnnError(f"{entry.cause} [{status} {entry.name}]", where=where, hint=entry.hint)


def _damaged(where: str) -> QnnError:
    return QnnError("The context binary is damaged.", where=where, hint="Compile the model again.")
