"""Sensitivity: what quantizing one node, or one tensor, alone costs at the model's outputs.

Ranges are collected once. Then one model after another is made in which only that node has Q and
DQ, or only that tensor goes through them, and is run on a few samples. Who runs it is the
caller's business: the CPU, or the NPU simulator.

The noises of single tensors nearly add up at the outputs, as they hardly correlate, so a
sensitivity is given as relative noise too: noise energy over signal energy, of the most affected
output.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.cluster.current import each
from snapq.evaluation.channel_groups import GroupedOutputs
from snapq.evaluation.sqnr import SqnrMeter, real_outputs, sqnr
from snapq.operators import Encodings, quantized
from snapq.precision import ActivationType
from snapq.quantization.analysis.alone import alone, lowered
from snapq.quantization.analysis.error_causes import error_cause
from snapq.quantization.analysis.resumed import Resumed
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.encodings import Encoding, QuantType, dequantize
from snapq.quantization.qdq.lowering.order import lifted
from snapq.quantization.qdq.order import decide
from snapq.quantization.qdq.parameters import Tuned
from snapq.quantization.qdq.scheme import NodePrecision, Scheme
from snapq.quantization.quantize import Quantized
from snapq.quantization.quantize import quantize as quantize_model

__all__ = [
    "Analysis",
    "Kind",
    "Run",
    "Sensitivity",
    "analyze_nodes",
    "analyze_tensors",
    "explain",
    "only",
    "quantized_tensors",
    "sensitive_nodes",
]

Array = npt.NDArray[np.generic]
Feeds = Mapping[str, Array]
Run = Callable[[ir.Model, Sequence[Feeds]], Iterable[Feeds]]
"""Runs samples through a model with float inputs and outputs, and gives the outputs of each."""


class Kind(StrEnum):
    """What was quantized alone."""

    NODE = "node"
    ACTIVATION = "activation"
    WEIGHT = "weight"


@dataclass(frozen=True)
class Sensitivity:
    """What quantizing one thing alone costs.

    Attributes:
        kind: a node with all it reads and gives, an activation, or a weight.
        name: of the node, or of the tensor.
        op_type: operator of the node, or of the one that gives the activation or reads the weight.
        noise: noise energy over signal energy at the most affected output, summed over samples.
        cause: one clause that says why, where it is known.
    """

    kind: Kind
    name: str
    op_type: str
    noise: float
    cause: str | None = None

    @property
    def sqnr_db(self) -> float:
        """The same in dB, at the most affected output."""
        return sqnr(1.0, self.noise)


@dataclass(frozen=True)
class Analysis:
    """What an analysis works on.

    Attributes:
        model: the prepared float model.
        known: what `observe` saw of it.
        scheme: the precision that is asked about.
        fixed: imposed encodings, by tensor name.
        samples: feeds, held in memory: a few.
        references: the float model's outputs for them.
        run: runs the models that are made.
        tuned: weights that algorithms found, by name of the node; they hold where weights have the
            type that the scheme gives them.
        resumed: runs what it can in the place of `run`, see `from_changes`.
        side_by_side: whether `run` may be called from several threads where a cluster is connected.
    """

    model: ir.Model
    known: Mapping[str, Collector]
    scheme: Scheme
    fixed: Mapping[str, Encoding]
    samples: Sequence[Feeds]
    references: Sequence[Feeds]
    run: Run
    tuned: Mapping[str, Tuned] = field(default_factory=dict)
    resumed: Resumed | None = None
    side_by_side: bool = False

    def from_changes(self) -> Analysis:
        """The same on this machine's CPU, where models run from what they change on."""
        scheme = replace(self.scheme, activations=ActivationType.FLOAT16, per_node={})
        resumed = Resumed(self.quantized(scheme).model, self.samples)
        return replace(self, resumed=resumed, references=resumed.truth)

    def quantized(self, scheme: Scheme) -> Quantized:
        """The model quantized to another scheme, without calibrating again."""
        tuned = {
            name: found
            for name, found in self.tuned.items()
            if scheme.precision(name)[0] is self.scheme.precision(name)[0]
        }
        return quantize_model(
            self.model, None, scheme, fixed=self.fixed, known=self.known, tuned=tuned
        )

    def tensor_count(self) -> int:
        """How many tensors `analyze_tensors` goes through."""
        whole = self.quantized(self.scheme)
        return sum(1 for _ in quantized_tensors(self.model, whole))

    def noise(self, model: ir.Model) -> float:
        """Relative noise of a model at the most affected output, or group of its channels."""
        meter = SqnrMeter()
        resumed = self.resumed.run(model) if self.resumed is not None else None
        outputs = self.run(model, self.samples) if resumed is None else resumed
        with GroupedOutputs(meter) as grouped:
            for reference, found in zip(self.references, outputs, strict=True):
                grouped.update(real_outputs(reference), found)
        return meter.worst()


def analyze_nodes(
    analysis: Analysis, progress: Callable[[int], None] | None = None
) -> list[Sensitivity]:
    """The sensitivity of each node that computes in integers under the scheme, in graph order.

    A node is quantized with its inputs, weights and outputs as in the whole model; nodes that only
    move or clamp its result go with it.
    """
    sensitivities = []
    nodes = sensitive_nodes(analysis)
    noises = _noises(analysis, [partial(only, analysis, str(node.name)) for node in nodes])
    for node, noise in zip(nodes, noises, strict=True):
        name = str(node.name)
        sensitivities.append(Sensitivity(Kind.NODE, name, node.op_type, noise))
        if progress is not None:
            progress(1)
    return sensitivities


def _noises(analysis: Analysis, makers: Sequence[Callable[[], ir.Model]]) -> Iterator[float]:
    """The noise of each model, in order; they are made one at a time."""
    making = threading.Lock()

    def noise(make: Callable[[], ir.Model]) -> float:
        with making:
            model = make()
        return analysis.noise(model)

    return each(noise, makers) if analysis.side_by_side else map(noise, makers)


def only(analysis: Analysis, node: str) -> ir.Model:
    """The model in which one node alone is quantized, as it is in the whole model."""
    weights, activations = analysis.scheme.precision(node)
    own = {node: NodePrecision(weights, activations)}
    scheme = replace(analysis.scheme, activations=ActivationType.FLOAT16, per_node=own)
    return analysis.quantized(scheme).model


def sensitive_nodes(analysis: Analysis) -> list[ir.Node]:
    """The nodes that compute in integers under the scheme, in graph order."""
    decisions = decide(lifted(analysis.model), analysis.scheme, analysis.fixed)
    return [
        node
        for node, decision in decisions.items()
        if decision.dtype is not None and decision.encodings in (Encodings.OWN, Encodings.READ)
    ]


def analyze_tensors(
    analysis: Analysis,
    names: Iterable[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Sensitivity]:
    """The sensitivity of each activation and weight (of those named) that the scheme quantizes.

    They are in graph order; `progress` is called with 1 after each.
    """
    whole = analysis.quantized(analysis.scheme)
    wanted = None if names is None else set(names)
    rounded = _rounded(analysis)
    sensitivities = []
    chosen = [
        one
        for one in quantized_tensors(analysis.model, whole)
        if wanted is None or one[1] in wanted
    ]
    makers = [
        partial(alone, analysis.model, name, whole.encodings[name], rounded.get(name))
        for _, name, _ in chosen
    ]
    noises = _noises(analysis, makers)
    for (kind, name, op_type), noise in zip(chosen, noises, strict=True):
        encoding = whole.encodings[name]
        seen = whole.statistics.get(name)
        cause = error_cause(seen, encoding) if seen is not None else None
        sensitivities.append(Sensitivity(kind, name, op_type, noise, cause))
        if progress is not None:
            progress(1)
    return sensitivities


def _rounded(analysis: Analysis) -> dict[str, Array]:
    """The values of the weights whose integers an algorithm chose, by name of the weight."""
    return {
        str(node.inputs[1].name): dequantize(found.integers, found.encoding)
        for node in lowered(analysis.model).graph
        if (found := analysis.tuned.get(str(node.name))) and node.inputs[1] is not None
    }


def explain(
    analysis: Analysis,
    sensitivities: Sequence[Sensitivity],
    most: int,
    progress: Callable[[int], None] | None = None,
) -> list[Sensitivity]:
    """Gives so many of the worst nodes their cause: the tensor behind the sensitivity, and why.

    `progress` is called with 1 after each of their tensors.
    """
    worst = sorted(sensitivities, key=lambda sensitivity: -sensitivity.noise)[:most]
    whole = analysis.quantized(analysis.scheme)
    nodes = {str(node.name): node for node in lowered(analysis.model).graph}
    tensors = {d.name: _tensors(nodes[d.name], whole) for d in worst if d.name in nodes}
    wanted = [name for names in tensors.values() for name in names]
    found = {one.name: one for one in analyze_tensors(analysis, wanted, progress)}
    return [
        replace(one, cause=_blame(one, [found[n] for n in tensors[one.name] if n in found]))
        if one.name in tensors
        else one
        for one in sensitivities
    ]


def _tensors(node: ir.Node, whole: Quantized) -> list[str]:
    """The quantized tensors that a node reads and gives; its output may be held behind a clamp."""
    names = [str(value.name) for value in node.inputs if value is not None]
    for value in node.outputs:
        held = value
        while str(held.name) not in whole.encodings and len(held.uses()) == 1:
            held = next(iter(held.uses())).node.outputs[0]
        names.append(str(held.name))
    return [
        name
        for name in dict.fromkeys(names)
        if name in whole.encodings and whole.encodings[name].dtype is not QuantType.INT32
    ]


def _blame(node: Sensitivity, tensors: Sequence[Sensitivity]) -> str | None:
    if not tensors:
        return None
    worst = max(tensors, key=lambda tensor: tensor.noise)
    if sum(tensor.noise for tensor in tensors) < node.noise / 2:
        return "the way it computes in integers, more than any of its tensors"
    text = f"mostly its {worst.kind} '{worst.name}' ({worst.sqnr_db:.1f} dB alone)"
    return f"{text}: {worst.cause}" if worst.cause else text


def quantized_tensors(model: ir.Model, whole: Quantized) -> Iterator[tuple[Kind, str, str]]:
    """Kind, name and operator of each tensor of the float model that is rounded.

    Left out are biases, which have 32 bits, and what only moves data that is rounded already.
    """
    graph = lowered(model).graph
    held = whole.encodings
    for value in graph.inputs:
        if str(value.name) in held:
            yield Kind.ACTIVATION, str(value.name), "input"
    told = set()
    for node in graph:
        for read in node.inputs:
            name = str(read.name) if read is not None else ""
            if read is None or not read.is_initializer() or name in told:
                continue
            if name in held and held[name].dtype is not QuantType.INT32:
                told.add(name)
                yield Kind.WEIGHT, name, node.op_type
        for value in node.outputs:
            if str(value.name) in held and not _moved(node, str(value.name), held):
                yield Kind.ACTIVATION, str(value.name), node.op_type


def _moved(node: ir.Node, output: str, held: Mapping[str, Encoding]) -> bool:
    rule = quantized(node)
    source = node.inputs[0] if node.inputs else None
    if rule is None or rule.encodings is not Encodings.SHARED or source is None:
        return False
    return held.get(str(source.name)) == held[output]
