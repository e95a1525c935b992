"""ONNX files with their large weights apart from the message: each is in memory once.

Protobuf reads a message whole, and writes it whole: with the copies that its tensors give out, a
model takes three times its weights on the way in, and three times on the way out. Here the bytes of
the file are taken apart and put together around the weights. The format is that of
https://protobuf.dev/programming-guides/encoding, and of `onnx.proto`; what is read or written is
what protobuf reads or writes, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import IO

import numpy as np
import onnx
import onnx_ir as ir

__all__ = ["LARGE", "PLAIN", "Apart", "message", "pieces", "read"]

PLAIN = frozenset(
    ir.DataType[name]
    for name in ("FLOAT", "DOUBLE", "INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64")
)
"""Types whose bytes are numpy's."""
LARGE = 1 << 14
"""Bytes of a tensor that is worth a place of its own."""

Piece = bytes | memoryview

_KNOWN = frozenset(kind.value for kind in ir.DataType)
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""Wire types."""
_GRAPH, _INITIALIZER, _RAW = 7, 5, 9
"""Numbers of the fields `ModelProto.graph`, `GraphProto.initializer`, `TensorProto.raw_data`."""
_WINDOW = 1 << 16
_LONGEST = 10
"""Bytes of a varint."""


@dataclass(frozen=True)
class Apart:
    """A model's message, and the large weights that are not in it.

    Attributes:
        proto: the message; the tensors of these weights have no data.
        weights: by name, of the main graph's initializers; all that their shapes say.
    """

    proto: onnx.ModelProto
    weights: dict[str, ir.TensorProtocol]


@dataclass(frozen=True)
class _Span:
    """Bytes of the file, from `start` on to in front of `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class _Weight:
    """A large initializer: its place among the initializers, and where its data are."""

    place: int
    data: _Span


class _OddError(Exception):
    """The file is not laid out as writers of ONNX do it."""


def message(file: IO[bytes], size: int) -> onnx.ModelProto | None:
    """As `read`, without any data of large initializers."""
    found = _read(file, size, data=False)
    return None if found is None else found.proto


def read(file: IO[bytes], size: int) -> Apart | None:
    """Takes a model's file apart; None where it is damaged, or laid out in an unusual way.

    Args:
        file: open for reading, at its start.
        size: its bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return _read(file, size, data=True)


def _read(file: IO[bytes], size: int, *, data: bool) -> Apart | None:
    source = _Source(file, size)
    try:
        rest, found = _taken_apart(source)
        proto = onnx.load_from_string(b"".join(rest))
        if len(proto.graph.initializer) <= max((one.place for one in found), default=-1):
            return None
        return Apart(proto, _weights(proto, found, source) if data else {})
    except (_OddError, ValueError, MemoryError):
        return None
    except Exception:  # the class of protobuf's error depends on its implementation
        return None


class _Source:
    """A file, of which a window is in memory."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.size = file, size
        self._start, self._window = 0, b""

    def varint(self, place: int, end: int) -> tuple[int, int]:
        """A number, and the place behind it."""
        if not self._start <= place <= self._start + len(self._window) - _LONGEST:
            self._file.seek(place)
            self._start, self._window = place, self._file.read(_WINDOW)
        window, first = self._window, place - self._start
        result = 0
        for index, byte in enumerate(window[first : first + _LONGEST]):
            result |= (byte & 127) << (7 * index)
            if byte < 128:
                if place + index >= end:
                    break
                return result, place + index + 1
        raise _OddError

    def bytes(self, span: _Span) -> bytes:
        """Some of the file."""
        self._file.seek(span.start)
        found = self._file.read(span.end - span.start)
        if len(found) != span.end - span.start:
            raise _OddError
        return found

    def array(self, span: _Span, dtype: np.dtype[np.generic], dims: Sequence[int]) -> np.ndarray:
        """Some of the file as an array, which is read into its place."""
        result = np.empty(tuple(dims), dtype)
        self._file.seek(span.start)
        data = result.reshape(-1).view(np.uint8).data
        while data:
            count = self._file.readinto(data)  # type: ignore[attr-defined]
            if not count:
                raise _OddError
            data = data[count:]
        return result


def _fields(source: _Source, span: _Span) -> Iterator[tuple[int, int, _Span, _Span]]:
    """Number, wire type, the whole and the contents of each field of a message."""
    place = span.start
    while place < span.end:
        start = place
        tag, place = source.varint(place, span.end)
        kind = tag & 7
        first = place
        if kind == _VARINT:
            _, place = source.varint(place, span.end)
        elif kind == _BYTES:
            length, first = source.varint(place, span.end)
            place = first + length
        elif kind in (_EIGHT, _FOUR):
            place += 8 if kind == _EIGHT else 4
        else:
            raise _OddError
        if place > span.end:
            raise _OddError
        yield tag >> 3, kind, _Span(start, place), _Span(first, place)


def _taken_apart(source: _Source) -> tuple[list[Piece], list[_Weight]]:
    """The message without the data of large weights, and where these are."""
    rest, found, graphs = list[Piece](), list[_Weight](), 0
    for number, kind, whole, inside in _fields(source, _Span(0, source.size)):
        if number != _GRAPH or kind != _BYTES:
            rest.append(source.bytes(whole))
            continue
        graphs += 1
        parts, found = _graph_apart(source, inside)
        rest += _message(_GRAPH, parts)
    if graphs != 1:
        raise _OddError
    return rest, found


def _graph_apart(source: _Source, span: _Span) -> tuple[list[Piece], list[_Weight]]:
    parts, found = list[Piece](), list[_Weight]()
    place, kept = 0, span.start
    end = span.start
    for number, kind, whole, inside in _fields(source, span):
        if number == _INITIALIZER and kind == _BYTES:
            if inside.end - inside.start >= LARGE:
                data = _raw_data(source, inside)
                if data is not None:
                    parts.append(source.bytes(_Span(kept, whole.start)))
                    before = source.bytes(_Span(inside.start, data[0].start))
                    behind = source.bytes(_Span(data[0].end, inside.end))
                    parts += _message(_INITIALIZER, [before, behind])
                    found.append(_Weight(place, data[1]))
                    kept = whole.end
            place += 1
        end = whole.end
    parts.append(source.bytes(_Span(kept, end)))
    return parts, found


def _raw_data(source: _Source, span: _Span) -> tuple[_Span, _Span] | None:
    """The field with a tensor's data, and the data; None where these are few, or elsewhere."""
    found = [
        (whole, inside)
        for number, kind, whole, inside in _fields(source, span)
        if number == _RAW and kind == _BYTES
    ]
    if len(found) != 1 or found[0][1].end - found[0][1].start < LARGE:
        return None
    return found[0]


def _weights(
    proto: onnx.ModelProto, found: Sequence[_Weight], source: _Source
) -> dict[str, ir.TensorProtocol]:
    """The weights that numpy reads as they are; the data of others go back into the message."""
    initializers = proto.graph.initializer
    names = Counter(tensor.name for tensor in initializers)
    weights: dict[str, ir.TensorProtocol] = {}
    for one in found:
        tensor = initializers[one.place]
        kind = ir.DataType(tensor.data_type) if tensor.data_type in _KNOWN else None
        size = one.data.end - one.data.start
        sound = (
            kind in PLAIN
            and kind is not None
            and names[tensor.name] == 1
            and tensor.name
            and not tensor.metadata_props
            and tensor.data_location != onnx.TensorProto.EXTERNAL
            and all(dim > 0 for dim in tensor.dims)
            and size == prod(tensor.dims) * kind.itemsize
        )
        if not sound or kind is None:
            tensor.raw_data = source.bytes(one.data)
            continue
        array = source.array(one.data, kind.numpy().newbyteorder("<"), tensor.dims)
        doc = tensor.doc_string if tensor.HasField("doc_string") else None
        weights[tensor.name] = ir.Tensor(array, name=tensor.name, doc_string=doc)
    return weights


def pieces(model: ir.Model) -> list[Piece]:
    """What `SerializeToString(deterministic=True)` gives, in pieces; large weights are not copied.

    Weights that are mapped are read where they are; small ones become part of the model.
    """
    taken = [
        (value, held)
        for value in model.graph.initializers.values()
        if isinstance(held := value.const_value, ir.Tensor | ir.ExternalTensor)
        and held.nbytes >= LARGE
        and held.dtype in PLAIN
    ]
    try:
        for value, held in taken:
            value.const_value = _without_data(held)
        # Kept as they are, mapped weights would be written as references to where they were read.
        ir.external_data.load_to_model(model)
        proto = ir.serde.serialize_model(model)
    finally:
        for value, held in taken:
            value.const_value = held
    tensors = {str(value.name): held for value, held in taken}
    before, behind = _split(proto, _GRAPH)
    return [*before, *_message(_GRAPH, _graph(proto.graph, tensors)), *behind]


def _without_data(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    mapped = isinstance(tensor, ir.ExternalTensor)  # `load_to_model` keeps nothing else of these
    return ir.Tensor(
        np.zeros(0, tensor.dtype.numpy()),
        dtype=tensor.dtype,
        doc_string=None if mapped else tensor.doc_string,
        metadata_props=None if mapped else dict(tensor.metadata_props),
    )


def _graph(graph: onnx.GraphProto, tensors: Mapping[str, ir.TensorProtocol]) -> list[Piece]:
    """The pieces of a graph, with the data of its large weights."""
    before, behind = _split(graph, _INITIALIZER)
    parts: list[Piece] = [*before]
    for proto in graph.initializer:
        held = tensors.get(proto.name)
        if held is None:
            parts += _message(_INITIALIZER, [proto.SerializeToString(deterministic=True)])
            continue
        proto.dims[:] = held.shape.numpy()
        first, last = _split(proto, _RAW)
        parts += _message(_INITIALIZER, [*first, *_message(_RAW, [_data(held)]), *last])
    return [*parts, *behind]


def _data(tensor: ir.TensorProtocol) -> memoryview:
    array = tensor.numpy()
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return plain.reshape(-1).view(np.uint8).data


def _split(
    message: onnx.ModelProto | onnx.GraphProto | onnx.TensorProto, number: int
) -> tuple[list[bytes], list[bytes]]:
    """What a message holds in front of a field and behind it, as it is written: by number."""
    sides: tuple[list[bytes], list[bytes]] = ([], [])
    for below, side in ((True, sides[0]), (False, sides[1])):
        part = type(message)()
        for field, _ in message.ListFields():
            if field.number != number and (field.number < number) is below:
                _copy(message, part, field.name)
        side.append(part.SerializeToString(deterministic=True))
    return sides


def _copy(
    message: onnx.ModelProto | onnx.GraphProto | onnx.TensorProto,
    part: onnx.ModelProto | onnx.GraphProto | onnx.TensorProto,
    name: str,
) -> None:
    value, target = getattr(message, name), getattr(part, name)
    if hasattr(target, "MergeFrom"):  # lists and messages
        target.MergeFrom(value)
    else:
        setattr(part, name, value)


def _message(number: int, parts: Sequence[Piece]) -> list[Piece]:
    """A field of a message that consists of these parts."""
    length = sum(len(part) for part in parts)
    return [_varint(number << 3 | _BYTES) + _varint(length), *parts]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
