"""Range search: the ends of a tensor's range by what its rounding does to the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.cost import total_macs
from snapq.graph.edit import Names
from snapq.quantization.calibration.segments import Changed, Segments
from snapq.quantization.encodings import Encoding, QuantType, asymmetric
from snapq.quantization.precision_rules.ranges import fixed_output
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.output_score import before_softmax, names_before_softmax
from snapq.quantization.tuning.score import Reference

__all__ = ["search_ranges"]

_BITS = 8
_SAMPLES, _RANKED_ON = 8, 2
"""Samples that choose a range, and that say which tensors are worth it."""
_SHARE = 0.95
"""Of the noise of all tensors, so much is that of the tensors that are searched."""
_MOST = 24
"""Tensors that are searched, where the model is small enough."""
_WORK = 3e12
"""Multiply-accumulates that a search may take: a minute on two processors."""
_HIGHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2)
"""Upper ends that are tried, as shares of the largest value that was seen, rising."""
_LOWS = (0.5, 0.7, 0.85, 1.0, 1.25)
"""Lower ends that are tried, as shares of what the end was, falling."""
_CLOSE = 1.05
"""Of ends whose noise is within this factor of the least, the widest is taken: it clips least of
what no sample has shown."""
_ROOM = 1.25
"""How far beyond what was seen a range may reach."""
_SPARE = 0.1
"""What all tensors together may add to the noise for such room, as share of it."""

_CERTAIN = 1 + 1e-6
"""What sums in another order may differ by."""

Range = tuple[float, float]
Feeds = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class _Tied:
    """Tensors that share an encoding, and what calibration saw of them all."""

    names: tuple[str, ...]
    encoding: Encoding
    seen: Range

    @property
    def range(self) -> Range:
        """What the encoding holds."""
        return float(self.encoding.minimum), float(self.encoding.maximum)


@register("range-search", Stage.RANGES)
def search_ranges(study: Study) -> Study | None:
    """Moves the ends of the ranges whose rounding alone makes most of the outputs' noise.

    Which values of a tensor may be clipped only the layers behind it know: of two tensors with the
    same histogram, one's large values are an edge that a detector looks for, the other's are of no
    consequence. So the float model runs with one tensor rounded, whose scale and zero point are
    inputs, and the ends with the least noise at the outputs, group of channels by group, are kept.
    Noise of single tensors adds up, so they are searched one by one, and the layers in front need
    not run. Of ends that make no
    difference the widest are taken, and tensors whose noise is next to nothing get room: what
    clips in a head is what the head is there for, and no sample may have shown the largest.

    Source: the objective is that of Nahshan et al., "Loss aware post-training quantization",
    arXiv:1911.07190, with the outputs' noise in the place of the loss, one tensor at a time.
    """
    if study.scheme.activations.bits != _BITS:
        return None
    samples = list(islice(study.samples, _SAMPLES))
    tied = list(_tied(study))
    macs = max(total_macs(study.model), 1)
    tries = _SAMPLES * (len(_HIGHS) + len(_LOWS)) * macs
    if not samples or not tied or len(tied) * _RANKED_ON * macs + tries > _WORK:
        return None
    probes = _Probes(study.model, samples)
    noise = [probes.of(one, _RANKED_ON)(one.range) for one in tied]
    spare = _SPARE * sum(noise) / len(noise)
    searched = _loudest(noise)[: int(_WORK // tries)]
    found: dict[str, Range] = {}
    for index, one in enumerate(tied):
        if index in searched:
            best = _searched(probes.of(one, len(samples)), one, spare)
        else:
            best = _widened(one, noise[index], spare)
        found |= dict.fromkeys(one.names, best)
    ranges = {**study.scheme.ranges, **found}
    return replace(study, scheme=replace(study.scheme, ranges=ranges))


def _tied(study: Study) -> Iterator[_Tied]:
    """The computed tensors of 8 bits whose range is free, with those that are held alike."""
    held = study.built.encodings
    together: dict[Encoding, list[str]] = {}
    for node in study.model.graph:
        for value in node.outputs:
            name = str(value.name)
            encoding = held.get(name)
            if encoding is None or encoding.axis is not None or encoding.dtype.bits != _BITS:
                continue
            fixed = fixed_output(node.op_type, encoding.dtype)
            if name in study.seen and name not in study.fixed and fixed is None:
                together.setdefault(encoding, []).append(name)
    for encoding, names in together.items():
        seen = [study.seen[name] for name in names]
        ends = min(one.minimum for one in seen), max(one.maximum for one in seen)
        yield _Tied(tuple(names), encoding, (min(ends[0], 0.0), max(ends[1], 0.0)))


def _loudest(noise: Sequence[float]) -> list[int]:
    """The fewest that make most of the noise, the loudest first."""
    order = np.argsort(-np.asarray(noise), kind="stable")
    reached = np.cumsum(np.asarray(noise)[order])
    enough = int(np.searchsorted(reached, _SHARE * reached[-1])) + 1
    return [int(index) for index in order[: min(enough, _MOST)]]


def _searched(probe: _Probe, one: _Tied, spare: float) -> Range:
    """The range of the least noise, the upper end first, then the lower one.

    Of ends that differ next to nothing in noise, by less than `spare` too, the widest.
    """
    low, high = one.range
    highs = [(low, share * one.seen[1]) for share in _HIGHS if one.seen[1] > 0]
    if highs:
        high = _widest(probe, highs, _HIGHS, spare)[1]
    lows = [(max(share * low, _ROOM * one.seen[0]), high) for share in _LOWS if low < 0]
    if lows:
        low = _widest(probe, lows, _LOWS, spare)[0]
    return low, high


def _widest(probe: _Probe, ranges: Sequence[Range], shares: Sequence[float], spare: float) -> Range:
    """The last of the ranges whose noise is close to the least.

    Those that are least likely to be far off are tried first, and the others only for as long as
    they may still be close.
    """
    close = np.inf
    noise = [np.inf] * len(ranges)
    for index in sorted(range(len(ranges)), key=lambda index: abs(shares[index] - 1)):
        noise[index] = probe(ranges[index], close)
        close = min(close, _CLOSE * noise[index] + spare)
    return [ends for ends, found in zip(ranges, noise, strict=True) if found <= close][-1]


def _widened(one: _Tied, noise: float, spare: float) -> Range:
    """The range of a tensor whose rounding nobody hears, with room for what was not seen.

    Rounding noise grows with the square of the range. An end that is less than half of the other
    one stays: it may be all that a function behind tells apart.
    """
    low, high = one.range
    growth = (high - low) * (np.sqrt(1 + spare / max(noise, 1e-12)) - 1)
    if high >= -low / 2:
        high = max(high, min(_ROOM * one.seen[1], high + growth))
    if -low >= high / 2:
        low = min(low, max(_ROOM * one.seen[0], low - growth))
    return low, high


class _Probes:
    """The float model, with inputs for the scale and the zero point of a rounding in it."""

    def __init__(self, model: ir.Model, samples: Sequence[Feeds]) -> None:
        names = Names(model.graph)
        self.scale, self.zero = names.fresh_value("scale"), names.fresh_value("zero_point")
        self._renamed = names_before_softmax(model)
        self.segments = Segments(before_softmax(model), samples)
        self._references: dict[int, tuple[Reference, npt.NDArray[np.float64]]] = {}

    def reference(self, samples: int) -> tuple[Reference, npt.NDArray[np.float64]]:
        """The outputs of the first so many samples, and what each group has over all of them.

        Infinite where that is nothing.
        """
        if samples not in self._references:
            truths = self.segments.truth[:samples]
            reference = Reference(truths)
            signal = reference.score(truths).signal.sum(axis=0)
            self._references[samples] = reference, np.where(signal > 0, signal, np.inf)
        return self._references[samples]

    def of(self, one: _Tied, samples: int) -> _Probe:
        """What rounds some tensors alike, on the first so many samples."""
        names = {self._renamed.get(name, name) for name in one.names}
        dtype = one.encoding.dtype

        def change(model: ir.Model) -> None:
            fresh = Names(model.graph)
            scale = _scalar(self.scale, ir.DataType.FLOAT)
            zero = _scalar(self.zero, dtype.dtype)
            model.graph.inputs.extend([scale, zero])
            for value in [value for node in model.graph for value in node.outputs]:
                if value.name in names:
                    _round(model.graph, value, scale, zero, fresh)

        return _Probe(self, self.segments.changed(names, change), dtype, samples)


class _Probe:
    """The float model with some tensors rounded alike, whatever the range."""

    def __init__(
        self, probes: _Probes, changed: Changed | None, dtype: QuantType, samples: int
    ) -> None:
        self._probes, self._changed, self._dtype = probes, changed, dtype
        self._samples = samples
        self._reference, self._signal = probes.reference(samples)
        self._known: dict[Encoding, float] = {}

    def __call__(self, ends: Range, most: float = np.inf) -> float:
        """Noise over signal, added up over all outputs and groups of their channels.

        Infinite where it is above `most`, which few samples may tell.
        """
        if self._changed is None:  # no output hangs on it
            return 0.0
        encoding = asymmetric(*ends, self._dtype)
        found = self._known.get(encoding)
        if found is None:
            found = self._measured(self._changed, encoding, most)
            if found <= most:
                self._known[encoding] = found
        return found

    def _measured(self, changed: Changed, encoding: Encoding, most: float) -> float:
        held = {
            self._probes.scale: np.asarray(encoding.scale),
            self._probes.zero: np.asarray(encoding.zero_point),
        }
        found: list[list[float]] = []
        for index in range(self._samples):
            outputs = changed.run(index, held)
            found.append([one.noise for one in self._reference.energies(index, outputs)])
            noise = np.array(found).sum(axis=0)
            share = float((noise / self._signal).sum())
            if share > most * _CERTAIN:
                return np.inf
        return share


def _scalar(name: str, dtype: ir.DataType) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape([]), type=ir.TensorType(dtype))


def _round(graph: ir.Graph, value: ir.Value, scale: ir.Value, zero: ir.Value, names: Names) -> None:
    """Puts a Q and a DQ behind a tensor."""
    producer = value.producer()
    assert producer is not None
    nodes = []
    read = value
    for op_type in ("QuantizeLinear", "DequantizeLinear"):
        name = names.fresh_node(f"{value.name}_{op_type}")
        node = ir.node(op_type, [read, scale, zero], name=name)
        read = node.outputs[0]
        read.name = names.fresh_value(f"{value.name}_{op_type}")
        nodes.append(node)
    read.shape, read.type = value.shape, value.type
    output = value.is_graph_output()
    value.replace_all_uses_with(read, replace_graph_outputs=output)
    nodes[0].replace_input_with(0, value)
    graph.insert_after(producer, nodes)
    if output:
        value.name, read.name = read.name, value.name
