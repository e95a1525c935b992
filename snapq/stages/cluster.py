"""The cluster stage: weights with few values, and what that does to each kind of size."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from snapq.config import ClusterConfig
from snapq.errors import ConfigError, did_you_mean
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.operators import Role, quantized
from snapq.quantization.encodings import Encoding, QuantType, quantize, reduced_axes, symmetric
from snapq.quantization.existing_qdq.requantize import requantize
from snapq.quantization.existing_qdq.strip import strip
from snapq.quantization.granularity import PerAxis, PerBlock, PerTensor
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.qdq.parameters import weight_axis
from snapq.quantization.tuning.weight_sharing import Shared, share
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads
from snapq.stages.imposing import conditions, write_weights
from snapq.stages.quantize.stage import write

_ZLIB = 6


@dataclass
class _Tally:
    """Sums over the layers."""

    layers: int = 0
    weights: int = 0
    codebooks: int = 0
    largest: int = 0
    signal: float = 0.0
    noise: float = 0.0
    before: int = 0
    before_compressed: int = 0
    after: int = 0
    after_compressed: int = 0


def reads(options: ClusterConfig) -> Reads:
    """The model, and the devices whose rules a quantized one keeps."""
    return Reads((Input.PREVIOUS, Input.DEVICES))


def run(options: ClusterConfig, context: Context, folder: Path) -> Outcome:
    """Writes the model with shared weights into `folder`.

    A float model gets the encodings of its weights beside it, for the quantize stage; a quantized
    one is quantized again with its own encodings, and those of its new weights.

    Raises:
        ConfigError: `keep` names a node that does not exist, or no layer has weights to share.
    """
    source = context.previous
    model = io.load(source.model)
    kept: dict[str, Encoding] = {}
    if source.precision != "float":
        stripped = strip(model)
        model, kept = stripped.model, stripped.encodings
    weights, tally = _share(model, options)
    details, notes = _told(tally, options)
    if source.precision == "float":
        io.save(model, folder / MODEL)
        write_weights(folder, weights)
        return Outcome("float", notes, details)
    found = requantize(model, {**kept, **weights}, conditions(context))
    write(found.quantized, folder)
    return Outcome(found.precision, (*notes, *map(str, found.quantized.notes)), details)


def _share(model: ir.Model, options: ClusterConfig) -> tuple[dict[str, Encoding], _Tally]:
    """Shares the weights of a float model, in place; their encodings by name, and the sums."""
    names = [str(node.name) for node in model.graph]
    for name in options.keep:
        if name not in names:
            raise ConfigError(
                f"The model has no node '{name}'.",
                where="cluster.keep",
                hint=did_you_mean(name, names, "`snapq inspect` lists the nodes."),
            )
    found: dict[str, Encoding] = {}
    tally = _Tally()
    for node in model.graph:
        rule = quantized(node)
        for index, value in enumerate(node.inputs):
            tensor = constant(value)
            if rule is None or value is None or tensor is None or node.name in options.keep:
                continue
            if rule.role(index) is not Role.WEIGHT or str(value.name) in found:
                continue
            array = np.asarray(tensor.numpy(), np.float32)
            alone = len(value.uses()) == 1 and not value.is_graph_output()
            if array.size < options.smallest or not alone or _depthwise(node, array):
                continue
            axis = weight_axis(node, array.ndim)
            if axis is None and options.spacing == "even" and options.clusters <= 16:
                continue
            scales = PerTensor() if axis is None else PerAxis(axis)
            shared = share(array, scales, options.clusters, options.spacing, options.channels)
            value.const_value = ir.Tensor(shared.values, name=value.name)
            found[str(value.name)] = shared.encoding
            _count(tally, array, shared)
    if not found:
        raise ConfigError(
            f"No layer has {options.smallest} weights or more to share.",
            where="cluster.smallest",
            hint="Give a smaller number, or leave the stage out.",
        )
    return found, tally


def _depthwise(node: ir.Node, array: np.ndarray) -> bool:
    return node.attributes.get_int("group", 1) > 1 and array.shape[1] == 1


def _count(tally: _Tally, array: np.ndarray, shared: Shared) -> None:
    granularity = shared.encoding.granularity
    assert not isinstance(granularity, PerBlock)
    peak = np.abs(array).max(axis=reduced_axes(array.shape, granularity))
    plain = quantize(array, symmetric(peak, QuantType.INT8, granularity)).tobytes()
    integers = quantize(shared.values, shared.encoding).astype(np.int8).reshape(-1)
    stored = integers.tobytes()
    if shared.encoding.dtype.bits == 4:
        nibbles = np.pad(integers.astype(np.uint8) & 15, (0, integers.size % 2))
        stored = (nibbles[::2] | (nibbles[1::2] << 4)).tobytes()
    tally.layers += 1
    tally.weights += array.size
    tally.codebooks += shared.codebooks
    tally.largest = max(tally.largest, shared.largest)
    tally.signal += float(np.square(array.astype(np.float64)).sum())
    tally.noise += float(np.square(array.astype(np.float64) - shared.values).sum())
    tally.before += len(plain)
    tally.before_compressed += len(zlib.compress(plain, _ZLIB))
    tally.after += len(stored)
    tally.after_compressed += len(zlib.compress(stored, _ZLIB))


def _told(tally: _Tally, options: ClusterConfig) -> tuple[dict[str, object], tuple[str, ...]]:
    quality = sqnr(tally.signal, tally.noise)
    int4 = options.spacing == "even" and options.clusters <= 16
    details: dict[str, object] = {
        "clusters": options.clusters,
        "spacing": options.spacing,
        "stored_as": "int4" if int4 else "int8",
        "layers": tally.layers,
        "weights": tally.weights,
        "codebooks": tally.codebooks,
        "largest_codebook": tally.largest,
        "weight_sqnr_db": quality,
        "weight_bytes_int8": tally.before,
        "weight_bytes_int8_compressed": tally.before_compressed,
        "weight_bytes": tally.after,
        "weight_bytes_compressed": tally.after_compressed,
    }
    head = (
        f"{tally.weights:,} weights of {tally.layers} layers share at most {tally.largest} values a"
        f" codebook ({tally.codebooks:,} codebooks), weight SQNR {quality:.1f} dB."
    )
    sizes = (
        f"Their bytes, int8 before: {tally.before:,} raw, {tally.before_compressed:,} compressed; "
        f"now {tally.after:,} raw, {tally.after_compressed:,} compressed."
    )
    truth = (
        "They are evenly spaced and stored as int4, so the model on the device shrinks too."
        if int4
        else "The NPU's compiler stores each in a byte, whatever its value: only what is compressed"
        " for a download shrinks, not the model on the device, and it runs no faster."
    )
    return details, (head, sizes, truth)
