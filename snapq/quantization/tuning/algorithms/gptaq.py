"""GPTAQ: each layer is fitted to what it sees once the layers before it are done.

A layer behind quantized ones no longer sees what it was trained on. Its weights are fitted anew, by
least squares, so that from what it sees now it gives what the float layer gave, and are then
rounded. So it makes up for errors of the layers before it, which rounding alone passes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from snapq.quantization.calibration.partial import Part
from snapq.quantization.granularity import PerAxis
from snapq.quantization.qdq.decisions import Decision
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.layers import (
    Layer,
    columns,
    places,
    plain_encoding,
    positions,
    results,
    scales,
)
from snapq.quantization.tuning.regression import Sums, fitted
from snapq.quantization.tuning.rounding import clip_search, damped, descend, second_order

__all__ = ["reconstruct"]

_WIDEST = 1536
"""Layers that see more inputs than this at once are only rounded: fitting them takes too long."""
_MOST_ROUNDS = 64
"""Passes over the samples; deeper models have several layers done in one."""
_VALUES = 1 << 19
_MOST_POSITIONS, _FEWEST_POSITIONS = 256, 32
_MOST_STEPS = 200


@dataclass(frozen=True)
class _Place:
    """Where a layer stands in the float model.

    Attributes:
        layer: the layer.
        decision: its types.
        output: name of what it gives.
        addition: the Add that alone reads what it gives; None where there is none.
        summand: which of its inputs the other summand is.
    """

    layer: Layer
    decision: Decision
    output: str
    addition: ir.Node | None
    summand: int


@register("gptaq", Stage.REFINE)
def reconstruct(study: Study) -> Study | None:
    """Fits and rounds layer by layer, in the order in which they compute.

    What a layer shall give is what it gave in the float model; where only an Add reads it, what the
    sum was, so that it makes up for the errors of the other summand too. The strength of the fit is
    chosen for each layer by cross-validation between even and odd samples, so that a layer that
    cannot gain keeps its weights. Then the weights are rounded as in `adaround`, and the
    bias takes up what is left of the mean.

    Sources: Nagel et al., arXiv:2004.10568, section 3.3 (asymmetric reconstruction); Li et al.,
    "GPTAQ", arXiv:2504.02692; Arai and Ichikawa, "Quantization error propagation",
    arXiv:2504.09629.
    """
    found = _placed(study)
    if not found:
        return None
    size = -(-len(found) // _MOST_ROUNDS)
    current = study
    for start in range(0, len(found), size):
        tuned = dict(current.tuned)
        for place, halves in _observe(current, found[start : start + size]):
            tuned[place.layer.name] = _tuned(study, place, halves)
        current = replace(current, tuned=tuned)
    return current


def _placed(study: Study) -> list[_Place]:
    nodes = {str(node.name): node for node in study.model.graph}
    found = []
    for name, (layer, decision) in study.layers.items():
        if layer.matrix.shape[2] <= _WIDEST:
            output = nodes[name].outputs[0]
            addition, summand = _addition(output)
            found.append(_Place(layer, decision, str(output.name), addition, summand))
    return found


def _addition(output: ir.Value) -> tuple[ir.Node | None, int]:
    """The Add that alone reads a value, if its other summand does not hang on that value."""
    uses = tuple(output.uses())
    if len(uses) != 1 or uses[0].node.op_type != "Add" or output.is_graph_output():
        return None, 0
    node, index = uses[0].node, 1 - uses[0].idx
    other = node.inputs[index]
    computed = other is not None and other.producer() is not None and other is not output
    if other is None or not computed or other.shape != output.shape or _hangs(other, output):
        return None, 0
    return node, index


def _hangs(value: ir.Value, on: ir.Value) -> bool:
    """Whether a value is computed from another one."""
    left: list[ir.Value] = [value]
    seen: set[ir.Node] = set()
    while left:
        one = left.pop()
        if one is on:
            return True
        producer = one.producer()
        if producer is not None and producer not in seen:
            seen.add(producer)
            left += [read for read in producer.inputs if read is not None]
    return False


def _observe(
    study: Study, together: Sequence[_Place]
) -> Iterator[tuple[_Place, tuple[Sums, Sums]]]:
    """What some layers see and shall give, summed over even and over odd samples."""
    model = study.built.model
    built = {str(node.name): node for node in model.graph}
    read = [_input(built, place.layer.name, 0) for place in together]
    added = [_summands(built, place) for place in together]
    outputs = [place.output for place in together]
    there = Part(study.model, [*outputs, *(n for pair in added for n in pair[:1])], optimize=True)
    here = Part(model, [*read, *(n for pair in added for n in pair[1:])], optimize=False)
    sums = [(Sums(), Sums()) for _ in together]
    for index, sample in enumerate(study.samples):
        truth, now = there(sample), here(sample)
        for number, place in enumerate(together):
            layer, data = place.layer, now[read[number]]
            random = np.random.default_rng((index, number))
            limit = positions(layer, _VALUES, _FEWEST_POSITIONS, _MOST_POSITIONS)
            chosen = places(layer, data.shape, limit, random)
            target = results(layer, truth[place.output], chosen)
            if added[number]:
                was, became = added[number]
                target += results(layer, truth[was], chosen) - results(layer, now[became], chosen)
            sums[number][index % 2].update(columns(layer, data, chosen), target)
    yield from zip(together, sums, strict=True)


def _summands(built: Mapping[str, ir.Node], place: _Place) -> tuple[str, ...]:
    """Names of what is added to a layer's output, in the float and in the quantized model."""
    if place.addition is None:
        return ()
    value = place.addition.inputs[place.summand]
    return str(value.name if value else ""), _input(built, str(place.addition.name), place.summand)


def _input(built: Mapping[str, ir.Node], node: str, index: int) -> str:
    value = built[node].inputs[index]
    return str(value.name) if value is not None else ""


def _tuned(study: Study, place: _Place, halves: tuple[Sums, Sums]) -> Tuned:
    """A layer fitted and rounded."""
    layer, biased = place.layer, place.layer.bias is not None
    wanted, _ = fitted(layer.matrix, halves, about_mean=biased)
    fresh = replace(layer, weight=np.asarray(layer.restore(wanted), np.float32))
    data = study.built.encodings[layer.data]
    encoding = plain_encoding(fresh, place.decision, data)
    whole = halves[0] + halves[1]
    own, _ = whole.moments(about_mean=biased)
    stable = damped(own.astype(np.float32), whole.count)
    width = wanted.shape[2]
    scale = scales(layer, encoding)
    limit = encoding.dtype.qmax
    if encoding.dtype.bits < 8 and isinstance(encoding.granularity, PerAxis):
        scale = clip_search(wanted, stable, scale, limit)
        encoding = replace(encoding, scale=scale.reshape(-1).astype(np.float32))
    integers = second_order(wanted, stable, scale, -limit, limit)
    integers = descend(
        wanted, stable, scale, integers, (-limit, limit), min(_MOST_STEPS, 4 * width)
    )
    stored = np.asarray(layer.restore(integers).astype(encoding.dtype.numpy))
    if not biased:
        return Tuned(encoding, stored)
    given = np.einsum("gok,gk->go", integers * scale, whole.q / whole.count)
    bias = whole.t / whole.count - given
    return Tuned(encoding, stored, np.asarray(bias, np.float32).reshape(-1))
