"""Outlier channel splitting (OCS): channels that are always zero carry copies of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.operators import clamps
from snapq.quantization.encodings import Floats
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.channels.changes import repeat
from snapq.quantization.tuning.channels.links import Link, links
from snapq.quantization.tuning.channels.statistics import ChannelStatistics
from snapq.quantization.tuning.channels.weights import by_channel, is_depthwise

__all__ = ["copies", "split"]

Indices = npt.NDArray[np.int64]


_UNUSED = 1e-6
"""Share of the largest weight below which a channel's weights are nothing."""
_STEADY = 2.0
"""Channels whose mean is above this many standard deviations are rarely cut off by a ReLU, which
would not let the offset through."""


@dataclass(frozen=True)
class _Chain:
    """From a layer to a depthwise Conv and on to the layer behind it, channel by channel."""

    first: Link
    second: Link


@register("ocs", Stage.MODEL)
def split(study: Study) -> Study | None:
    """Gives dead channels in front of a depthwise Conv to those whose rounding is amplified most.

    A channel that a depthwise filter differentiates (weights of both signs that add up to nearly
    nothing) comes out with little signal and all of the rounding noise. Trained networks often have
    channels that are zero on every sample. Such a channel becomes a copy: `k` copies, each moved by
    another part of a rounding step and averaged by the next layer's weights, are rounded as if the
    step were `k` times finer. The shape of the network, and so its time, stay as they are.

    Source: Zhao et al., "Outlier channel splitting", arXiv:1901.09504, who widen the layer, with
    offsets in place of halved values.
    """
    activations = study.scheme.activation_type
    if activations is None or activations.bits > 8:
        return None
    model = study.model.clone()
    chains = _chains(model.graph, study)
    if not chains:
        return None
    both = [link for chain in chains for link in (chain.first, chain.second)]
    seen = study.channel_statistics(model, both)
    changed = False
    for chain in chains:
        before, after = seen[str(chain.first.read.name)], seen[str(chain.second.read.name)]
        dead = np.flatnonzero(_unused(chain) & (before.largest == 0) & (after.largest == 0))
        source = copies(_suffering(chain, before), dead)
        if (source != np.arange(len(source))).any():
            step = float(before.high.max() - min(before.low.min(), 0)) / (2**activations.bits - 1)
            repeat(model.graph, chain.first, chain.second, source, step)
            changed = True
    return study.of(model) if changed else None


def copies(noise: Floats, dead: Indices) -> Indices:
    """Which channel each channel shall hold, `[C]`: itself, or for a dead one the one it copies.

    A channel with `k` copies has `1 / k^2` of its `noise`, which is what its rounding does further
    on, `[C]`; each dead one goes where it saves most.
    """
    source = np.arange(len(noise))
    count = np.ones(len(noise))
    left = noise.astype(np.float64).copy()
    left[dead] = 0.0
    for free in dead:
        saved = left * (1 / count**2 - 1 / (count + 1) ** 2)
        best = int(np.argmax(saved))
        if saved[best] <= 0:
            break
        source[free] = best
        count[best] += 1
    return source


def _chains(graph: ir.Graph, study: Study) -> list[_Chain]:
    found = links(graph)
    given = {link.sources[0]: link for link in found if len(link.sources) == 1}
    return [
        _Chain(link, given[link.sinks[0]])
        for link in given.values()
        if len(link.sinks) == 1
        and is_depthwise(link.sinks[0])
        and link.sinks[0] in given
        and _fits(link, given[link.sinks[0]], study)
    ]


def _fits(first: Link, second: Link, study: Study) -> bool:
    """Whether both have plain ReLUs or Clips between, biases, and nothing that was imposed."""
    nodes = (first.sources[0], first.sinks[0])
    whole = (*nodes, second.sinks[0])
    names = {str(v.name) for n in whole for v in (*n.inputs[1:], n.outputs[0]) if v}
    return (
        len(second.sinks) == 1
        and not is_depthwise(second.sinks[0])
        and not is_depthwise(first.sources[0])
        and all(clamps(node) for node in (*first.inner, *second.inner))
        and bool(first.inner and second.inner)
        and all(len(node.inputs) > 2 and node.inputs[2] is not None for node in nodes)
        and not names & study.fixed.keys()
    )


def _unused(chain: _Chain) -> npt.NDArray[np.bool_]:
    """The channels to which the first layer gives nothing whatever it sees, `[C]`."""
    weight = constant(chain.first.sources[0].inputs[1])
    assert weight is not None
    array = np.abs(np.asarray(weight.numpy(), np.float32))
    axis = 0 if chain.first.sources[0].op_type == "Conv" else 1
    largest = array.max(axis=tuple(i for i in range(array.ndim) if i != axis))
    return np.asarray(largest < _UNUSED * largest.max())


def _suffering(chain: _Chain, before: ChannelStatistics) -> Floats:
    """What one step of noise in each channel does behind the last layer, `[C]`."""
    amplified = np.square(by_channel(chain.first.sinks[0])[0]).sum(axis=1)
    taken = np.square(by_channel(chain.second.sinks[0])).sum(axis=(0, 2))
    deviation = np.sqrt(np.maximum(before.square - np.square(before.mean), 0.0))
    steady = before.mean > _STEADY * deviation
    return np.asarray(np.where(steady, amplified * taken, 0.0), np.float32)
