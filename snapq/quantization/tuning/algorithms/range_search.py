"""Range search: the ends of a tensor's range by what its rounding does to the outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph.cost import total_macs
from snapq.graph.edit import Names
from snapq.quantization.encodings import Encoding, asymmetric
from snapq.quantization.precision_rules.ranges import fixed_output
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.output_score import before_softmax
from snapq.quantization.tuning.score import Outputs, score
from snapq.runtime import processors

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

Range = tuple[float, float]


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
    Noise of single tensors adds up, so they are searched one by one. Of ends that make no
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
    truth = list(_outputs(study.model, samples))
    noise = [_Probe(study.model, one, samples[:_RANKED_ON], truth)(one.range) for one in tied]
    spare = _SPARE * sum(noise) / len(noise)
    searched = _loudest(noise)[: int(_WORK // tries)]
    found: dict[str, Range] = {}
    for index, one in enumerate(tied):
        if index in searched:
            best = _searched(_Probe(study.model, one, samples, truth), one, spare)
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
    highs = [share * one.seen[1] for share in _HIGHS if one.seen[1] > 0]
    if highs:
        high = _widest([((low, end), probe((low, end))) for end in highs], spare)[1]
    lows = [max(share * low, _ROOM * one.seen[0]) for share in _LOWS if low < 0]
    if lows:
        low = _widest([((end, high), probe((end, high))) for end in lows], spare)[0]
    return low, high


def _widest(tried: Sequence[tuple[Range, float]], spare: float) -> Range:
    """The last of the ranges whose noise is close to the least."""
    least = min(noise for _, noise in tried)
    return [ends for ends, noise in tried if noise <= _CLOSE * least + spare][-1]


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


class _Probe:
    """The float model with some tensors rounded alike, whatever the range."""

    def __init__(
        self,
        model: ir.Model,
        one: _Tied,
        samples: Sequence[Mapping[str, npt.NDArray[np.generic]]],
        truth: Sequence[Outputs],
    ) -> None:
        copy = model.clone()
        names = Names(copy.graph)
        self._scale, self._zero = names.fresh_value("scale"), names.fresh_value("zero_point")
        self._dtype, self._samples, self._truth = one.encoding.dtype, samples, truth
        scale = _scalar(self._scale, ir.DataType.FLOAT)
        zero = _scalar(self._zero, self._dtype.dtype)
        copy.graph.inputs.extend([scale, zero])
        values = {value.name: value for node in copy.graph for value in node.outputs}
        for name in one.names:
            _round(copy.graph, values[name], scale, zero, names)
        self._model = CpuModel(before_softmax(copy), threads=processors(), spin=False)

    def __call__(self, ends: Range) -> float:
        """Noise over signal, added up over all outputs and groups of their channels."""
        encoding = asymmetric(*ends, self._dtype)
        held = {
            self._scale: np.asarray(encoding.scale),
            self._zero: np.asarray(encoding.zero_point),
        }
        found = [self._model.run({**sample, **held}) for sample in self._samples]
        result = score(self._truth[: len(found)], found)
        signal, noise = result.signal.sum(axis=0), result.noise.sum(axis=0)
        return float((noise / np.where(signal > 0, signal, np.inf)).sum())


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


def _outputs(
    model: ir.Model, samples: Sequence[Mapping[str, npt.NDArray[np.generic]]]
) -> Iterator[Outputs]:
    yield from map(CpuModel(before_softmax(model), threads=processors(), spin=False).run, samples)
