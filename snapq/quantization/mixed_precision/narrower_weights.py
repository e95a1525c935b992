"""Weights of 4 bits for the layers that are faster so, as long as the model is good enough.

Four bits halve what a layer reads of its weights. That is time where reading them is what takes it,
as in a fully connected layer of one row (half the time), and next to nothing in most convolutions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import onnx_ir as ir

from snapq.precision import ActivationType, WeightType
from snapq.quantization.analysis.sensitivity import Analysis, analyze_tensors
from snapq.quantization.encodings import QuantType
from snapq.quantization.mixed_precision.trials import Trial, Trials
from snapq.quantization.qdq.decisions import is_depthwise
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source

__all__ = ["narrow"]

_GAIN = 0.02
"""Share of all cycles that must be won."""
_TRIES = 3
"""Choices that are proved at most, each of fewer layers."""
_SHRINK = 0.7


def narrow(trials: Trials, analysis: Analysis, best: Trial, free: Collection[str]) -> None:
    """Tries 4 bits for weights of the best candidate, and proves what keeps the goal.

    1. All weights of 8 bits get 4 at once; the estimate tells which layers gain.
    2. These are taken in the order of time won for noise: the noise of each weight alone, at the
       outputs. The most of them that keep the goal by the quick evaluation are proved, with fewer
       of them where the final evaluation says otherwise.

    Nothing is proved that wins less than 2 % of all cycles. Only `free` nodes, by name, are tried.
    """
    best = trials.timed(best)
    if best.cost is None:
        return
    owners = _weights(trials, analysis, best.scheme, free)
    names = frozenset(owners.values())
    if not names:
        return
    everything = trials.timed(_tried(trials, best, sorted(names)))
    if everything.refused is not None:
        return
    before, after = trials.spent(best), trials.spent(everything)
    won = {name: before.get(name, 0.0) - after.get(name, 0.0) for name in names}
    gains = {name: cycles for name, cycles in won.items() if cycles > 0.0}
    least = _GAIN * best.cost.cycles
    if sum(gains.values()) < least:
        return
    order = _ordered(analysis, everything.scheme, owners, gains)
    won_so_far = accumulate(gains[name] for name in order)
    fewest = next((count for count, won in enumerate(won_so_far, 1) if won >= least), None)
    if fewest is None:
        return
    count = _enough(trials, best, order, fewest)
    for _ in range(_TRIES):
        if sum(gains[name] for name in order[:count]) < least:
            return
        trial = trials.timed(_tried(trials, best, order[:count]))
        if trial.cost is None or trial.cost.cycles > best.cost.cycles - least:
            return
        if not trial.cost.compares_with(best.cost):
            return
        if trials.prove(trial).evaluation.met:
            return
        count = int(_SHRINK * count)


def narrowed(scheme: Scheme, names: Collection[str]) -> Scheme:
    """The scheme in which these nodes have weights of 4 bits."""
    per_node = dict(scheme.per_node)
    for name in names:
        own = per_node.get(name, NodePrecision())
        per_node[name] = NodePrecision(
            WeightType.INT4, own.activations, "faster by the estimate", Source.ESTIMATE
        )
    return replace(scheme, per_node=per_node)


def _weights(
    trials: Trials, analysis: Analysis, scheme: Scheme, free: Collection[str]
) -> dict[str, str]:
    """By name of the weight the node that reads it: of free nodes that may have 4 bits for 8.

    Left out are weights that several nodes read, those of depthwise layers (4 bits are too few),
    and nodes whose data would get another type along with the weight.
    """
    found: dict[str, str] = {}
    for node in trials.graph:
        name = str(node.name)
        weights, activations = scheme.precision(name)
        integers = weights is WeightType.INT8 and activations is not ActivationType.FLOAT16
        if name in free and integers and not is_depthwise(node):
            found.update(dict.fromkeys(_matrices(node), name))
    before = analysis.quantized(scheme).encodings
    after = analysis.quantized(narrowed(scheme, frozenset(found.values()))).encodings
    moved = {
        name
        for name, encoding in before.items()
        if name not in found and encoding.dtype is not (after[name].dtype if name in after else 0)
    }
    given = {str(v.name): str(node.name) for node in trials.graph for v in node.outputs}
    spoilt = {given.get(name, "") for name in moved}
    return {
        weight: node
        for weight, node in found.items()
        if node not in spoilt and weight in after and after[weight].dtype is QuantType.INT4
    }


def _matrices(node: ir.Node) -> Iterator[str]:
    """Names of the weights of more than one dimension that only this node reads."""
    for value in node.inputs:
        tensor = value.const_value if value is not None else None
        if value is None or tensor is None or not value.is_initializer():
            continue
        if len(tensor.shape) > 1 and len(value.uses()) == 1:
            yield str(value.name)


def _ordered(
    analysis: Analysis, scheme: Scheme, owners: dict[str, str], gains: dict[str, float]
) -> list[str]:
    """The nodes that gain, those first that win most time for the noise of their weight."""
    wanted = [weight for weight, node in owners.items() if node in gains]
    noise: dict[str, float] = {}
    for one in analyze_tensors(replace(analysis, scheme=scheme), wanted):
        noise[owners[one.name]] = noise.get(owners[one.name], 0.0) + one.noise
    known = [name for name in gains if name in noise]
    return sorted(known, key=lambda name: (-gains[name] / max(noise[name], 1e-12), name))


def _enough(trials: Trials, best: Trial, order: Sequence[str], fewest: int) -> int:
    """How many of them keep the goal by the quick evaluation, taken to get worse with each.

    None where the fewest that are worth it do not: transformers lose too much by any.
    """
    if not _tried(trials, best, order[:fewest]).evaluation.met:
        return 0
    met, failing = fewest, len(order) + 1
    count = len(order)
    while met + 1 < failing:
        if _tried(trials, best, order[:count]).evaluation.met:
            met = count
        else:
            failing = count
        count = (met + failing) // 2
    return met


def _tried(trials: Trials, best: Trial, names: Sequence[str]) -> Trial:
    return trials.narrowed(best, narrowed(best.scheme, names), tuple(names))
