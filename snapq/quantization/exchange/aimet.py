"""AIMET's encodings files, versions 0.6.1 (and the like 0.4 to 0.6) and 1.0.0, both ways.

Source: AIMET's Encoding Format Specification. A real `x` is `(q + offset) * scale` with `q` from 0
to `2^bits - 1`, whatever the sign; a symmetric 8-bit tensor has offset -128. Which axis the scales
of a parameter belong to is not in the file: it is that of the output channels.

Scales of blocks are in 1.0.0 only. `PER_BLOCK` lists them, channel after channel. `LPBQ` lists one
scale a channel and for each block a whole number by which it is multiplied; its `bw` is the width
of scale and integer together, and the integers have `compressed_bw` bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.shapes import static_shape
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.exchange.axes import channel_axis
from snapq.quantization.granularity import PerAxis, PerBlock
from snapq.quantization.qdq.block_scales import by_output, in_steps

__all__ = ["Entry", "Given", "left_out", "parse", "render", "resolve"]

OLD, NEW = "0.6.1", "1.0.0"
_LPBQ = "LPBQ"
_LPBQ_BITS = 8


@dataclass(frozen=True)
class Entry:
    """One tensor of a file.

    Attributes:
        name: the tensor.
        parameter: whether it is listed as a parameter.
        bits: width in bits.
        real: whether it stays in float.
        symmetric: what the file says.
        scale: one value, or one a channel; empty where `real`.
        offset: as many as scales.
        block: input channels that share a scale; 0 where scales are not by blocks.
        times: of LPBQ, the whole numbers of the blocks, channel after channel.
    """

    name: str
    parameter: bool
    bits: int
    real: bool = False
    symmetric: bool = False
    scale: tuple[float, ...] = ()
    offset: tuple[int, ...] = ()
    block: int = 0
    times: tuple[int, ...] = ()


@dataclass(frozen=True)
class Given:
    """Encodings that a file gives, by tensor name, and the tensors that stay in float."""

    encodings: dict[str, Encoding] = field(default_factory=dict)
    floats: tuple[str, ...] = ()


def parse(document: Mapping[str, Any]) -> Iterator[Entry]:
    """Yields the entries of either version.

    Raises:
        KeyError, TypeError, ValueError: the document is not of the format.
    """
    for section, parameter in (("activation_encodings", False), ("param_encodings", True)):
        content = document.get(section, {})
        if isinstance(content, Mapping):
            for name, items in content.items():
                yield _old(str(name), items, parameter)
        else:
            for item in content:
                yield _new(item, parameter)


def _old(name: str, items: Any, parameter: bool) -> Entry:
    first = items[0]
    bits = int(first["bitwidth"])
    if first.get("dtype", "int") == "float":
        return Entry(name, parameter, bits, real=True)
    return Entry(
        name,
        parameter,
        bits,
        symmetric=str(first["is_symmetric"]) == "True",
        scale=tuple(float(item["scale"]) for item in items),
        offset=tuple(int(item["offset"]) for item in items),
    )


def _new(item: Mapping[str, Any], parameter: bool) -> Entry:
    name, bits = str(item["name"]), int(item["bw"])
    if item["dtype"] in ("FLOAT", "FP"):
        return Entry(name, parameter, bits, real=True)
    scale = tuple(float(value) for value in item["scale"])
    offset = tuple(int(value) for value in item.get("offset", ())) or (0,) * len(scale)
    symmetric = bool(item.get("is_sym", False))
    block = int(item.get("block_size", 0))
    if item.get("enc_type") == _LPBQ:
        bits, times = int(item["compressed_bw"]), tuple(_flat(item["per_block_int_scale"]))
        middle = (-(1 << (bits - 1)),) * len(scale)
        return Entry(name, parameter, bits, False, symmetric, scale, middle, block, times)
    return Entry(name, parameter, bits, False, symmetric, scale, offset, block)


def _flat(values: Any) -> Iterator[int]:
    """Numbers of a list, or of one list a channel."""
    for value in values:
        yield from _flat(value) if isinstance(value, list) else (int(value),)


def resolve(entries: Iterator[Entry], model: ir.Model) -> Given:
    """Encodings of the entries, with the channel axes that the model's operators have.

    Raises:
        ValueError: scales and offsets do not fit the width, or the tensor (it is named).
    """
    constants = {str(value.name): value for value in model.graph.initializers.values()}
    encodings: dict[str, Encoding] = {}
    floats = []
    for entry in entries:
        if entry.real:
            floats.append(entry.name)
        elif entry.bits != 32:
            encodings[entry.name] = _encoding(entry, constants.get(entry.name))
    return Given(encodings, tuple(floats))


def _encoding(entry: Entry, value: ir.Value | None) -> Encoding:
    middle = 1 << (entry.bits - 1)
    signed = all(offset == -middle for offset in entry.offset) and (
        entry.symmetric or entry.parameter
    )
    if entry.bits not in (4, 8, 16):
        raise ValueError(f"'{entry.name}' has {entry.bits} bits; 4, 8 and 16 can be read")
    dtype = QuantType(f"{'int' if signed else 'uint'}{entry.bits}")
    if len(entry.scale) != len(entry.offset) or not entry.scale:
        raise ValueError(
            f"'{entry.name}' has {len(entry.scale)} scales, {len(entry.offset)} offsets"
        )
    scale = np.asarray(entry.scale, np.float32)
    zero = np.zeros(scale.shape, np.int64) if signed else -np.asarray(entry.offset, np.int64)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"'{entry.name}' has a scale that is not above 0")
    if zero.min() < dtype.qmin or zero.max() > dtype.qmax:
        raise ValueError(f"'{entry.name}' has an offset outside of {entry.bits} bits")
    if entry.block:
        return _by_blocks(entry, value, dtype, scale, zero)
    if scale.size == 1:
        return Encoding(dtype, scale.reshape(()), zero.astype(dtype.numpy).reshape(()))
    axis = channel_axis(value)
    shape = value.shape if value is not None else None
    size = shape[axis] if shape is not None and axis is not None else None
    if axis is None or size != scale.size:
        raise ValueError(
            f"'{entry.name}' has {scale.size} scales, and {size} channels in the model"
        )
    return Encoding(dtype, scale, zero.astype(dtype.numpy), PerAxis(axis))


def _by_blocks(
    entry: Entry,
    value: ir.Value | None,
    dtype: QuantType,
    scale: npt.NDArray[np.float32],
    zero: npt.NDArray[np.int64],
) -> Encoding:
    """The encoding of a matrix, or of a convolution of one tap, whose inputs share scales."""
    shape = static_shape(value) if value is not None else None
    axis = channel_axis(value)
    if shape is None or axis not in (0, 1) or any(size != 1 for size in shape[2:]):
        raise ValueError(f"'{entry.name}' has blocks, and is no matrix of weights in the model")
    outputs, inputs = shape[axis], shape[1 - axis]
    blocks = -(-inputs // entry.block)
    if entry.times:
        if (scale.size, len(entry.times)) != (outputs, outputs * blocks):
            raise ValueError(
                f"'{entry.name}' has {scale.size} scales and {len(entry.times)} numbers of blocks; "
                f"its {outputs} channels have {blocks} blocks of {entry.block} each"
            )
        times = np.asarray(entry.times, np.float64).reshape(outputs, blocks)
        scale = (times * scale.astype(np.float64)[:, None]).astype(np.float32)
        zero = np.zeros(scale.shape, np.int64)
    if scale.size != outputs * blocks:
        raise ValueError(
            f"'{entry.name}' has {scale.size} scales, and {outputs} x {blocks} blocks in the model"
        )
    form = (outputs, blocks, *shape[2:])
    scale, zero = scale.reshape(form), zero.reshape(form)
    if axis == 1:
        scale, zero = scale.swapaxes(0, 1), zero.swapaxes(0, 1)
    return Encoding(dtype, scale, zero.astype(dtype.numpy), PerBlock(1 - axis, entry.block))


def left_out(encodings: Mapping[str, Encoding], version: str) -> tuple[str, ...]:
    """Names of the tensors that a version has no words for: scales of blocks in all but 1.0.0."""
    return tuple(
        name
        for name, held in encodings.items()
        if held.block and (version != NEW or by_output(held.scale, held.axis) is None)
    )


def render(encodings: Mapping[str, Encoding], model: ir.Model, version: str) -> dict[str, Any]:
    """A document with the encodings, sorted by name; constants of the model are the parameters."""
    constants = {str(value.name) for value in model.graph.initializers.values()}
    parts: dict[bool, list[tuple[str, Encoding]]] = {True: [], False: []}
    for name in sorted(set(encodings) - set(left_out(encodings, version))):
        parts[name in constants].append((name, encodings[name]))
    if version == NEW:
        return {
            "version": NEW,
            "activation_encodings": [_to_new(*item) for item in parts[False]],
            "param_encodings": [_to_new(*item) for item in parts[True]],
            "excluded_layers": [],
            "producer": "snapq",
        }
    return {
        "version": OLD,
        "activation_encodings": {name: _to_old(held) for name, held in parts[False]},
        "param_encodings": {name: _to_old(held) for name, held in parts[True]},
    }


def _offsets(encoding: Encoding) -> list[int]:
    zero = encoding.zero_point.astype(np.int64).reshape(-1) - encoding.dtype.qmin
    return [-int(value) for value in zero]


def _symmetric(encoding: Encoding) -> bool:
    return encoding.dtype.signed and not encoding.zero_point.any()


def _to_new(name: str, encoding: Encoding) -> dict[str, Any]:
    if encoding.block:
        return {"name": name, **_blocks_to_new(encoding)}
    return {
        "name": name,
        "enc_type": "PER_TENSOR" if encoding.axis is None else "PER_CHANNEL",
        "dtype": "INT",
        "bw": encoding.dtype.bits,
        "is_sym": _symmetric(encoding),
        "scale": [float(value) for value in encoding.scale.reshape(-1)],
        "offset": _offsets(encoding),
    }


def _blocks_to_new(encoding: Encoding) -> dict[str, Any]:
    found = in_steps(encoding)
    shared = {"dtype": "INT", "block_size": encoding.block, "is_sym": _symmetric(encoding)}
    if found is not None:
        step, times = found
        return {
            **shared,
            "enc_type": _LPBQ,
            "bw": _LPBQ_BITS,
            "compressed_bw": encoding.dtype.bits,
            "scale": [float(value) for value in step],
            "offset": [-(1 << (_LPBQ_BITS - 1))] * len(step),
            "per_block_int_scale": [int(value) for value in times.reshape(-1)],
        }
    scale = by_output(encoding.scale, encoding.axis)
    zero = by_output(encoding.zero_point, encoding.axis)
    assert scale is not None
    assert zero is not None
    return {
        **shared,
        "enc_type": "PER_BLOCK",
        "bw": encoding.dtype.bits,
        "scale": [float(value) for value in scale.reshape(-1)],
        "offset": [encoding.dtype.qmin - int(value) for value in zero.reshape(-1)],
    }


def _to_old(encoding: Encoding) -> list[dict[str, Any]]:
    steps = (1 << encoding.dtype.bits) - 1
    return [
        {
            "bitwidth": encoding.dtype.bits,
            "dtype": "int",
            "is_symmetric": str(_symmetric(encoding)),
            "max": float((steps + offset) * scale),
            "min": float(offset * scale),
            "offset": offset,
            "scale": float(scale),
        }
        for scale, offset in zip(encoding.scale.reshape(-1), _offsets(encoding), strict=True)
    ]
