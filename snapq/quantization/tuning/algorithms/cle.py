"""Cross-layer equalization (CLE): channels of one tensor brought to like ranges, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.operators import clamps
from snapq.quantization.encodings import Floats, QuantType
from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.channels.changes import rescale
from snapq.quantization.tuning.channels.links import Link, links
from snapq.quantization.tuning.channels.statistics import ChannelStatistics
from snapq.quantization.tuning.channels.weights import by_channel, is_depthwise

__all__ = ["Reader", "equalize", "equalize_depthwise", "factors"]


_ROOM = 1.25
"""How far above what was seen a channel may go before a Clip cuts it off."""
_DEVIATIONS = 5.0
"""The same in standard deviations above the mean in front of the Clip: what was seen of a channel
that is rarely on says little."""
_TAIL = 5.0
"""Channels that reach further than this times their root mean square are rarely on."""
_LARGEST = 32.0
"""Most by which a channel is enlarged."""
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of the difference between channels is evened out: of activations, then of weights."""
_CHOSEN_ROUNDING = 0.35
"""The noise of weights whose rounding is chosen, as a share of that of plain rounding."""
_LEAST_GAIN = 0.97
"""Share of the expected noise that has to be left for the change to be made."""


@dataclass(frozen=True)
class Reader:
    """What takes the channels.

    Attributes:
        weight: `[O, C, taps]`.
        seen: of the tensor that it reads.
        own_scales: whether each channel's weights have a scale of their own (depthwise).
    """

    weight: Floats
    seen: ChannelStatistics
    own_scales: bool


@register("cle", Stage.MODEL)
def equalize(study: Study) -> Study | None:
    """Enlarges the small channels between layers; the weights that read them shrink by as much.

    A tensor has one scale, so a channel of small values has few steps. Enlarged channels are
    rounded more finely, but the weights that take them become unlike, and those are rounded more
    coarsely; a depthwise Conv has a scale for each channel, and loses nothing. Of a family of
    factors, from none to channels all alike, each set of layers gets those with the least expected
    noise of both kinds. Layers that a residual stream binds share their factors.

    A Clip (ReLU6) does not let factors pass, `clip(c x) != c clip(x)`, except for a channel that
    never comes near its limit and does not do so once enlarged. All others keep factor 1, so the
    network computes what it did.

    Source: Nagel et al., arXiv:1906.04721, with ranges of activations in place of the first
    layer's weights, as those have a scale a channel.
    """
    return _equalized(study, lambda _: True)


@register("cle-depthwise", Stage.MODEL)
def equalize_depthwise(study: Study) -> Study | None:
    """Does so only where depthwise convolutions take the channels, which costs their weights none.

    A MobileNet-like segmenter, with one channel of 64 beside others of 3 to 20 in front of such a
    Conv, comes 2 to 4 dB nearer to float by that, and loses by the rest, as the weights of its
    small layers become unlike.
    """
    return _equalized(study, lambda link: all(is_depthwise(node) for node in link.sinks))


def _equalized(study: Study, chosen: Callable[[Link], bool]) -> Study | None:
    """The study with channels scaled at the chosen links; None where that changes nothing."""
    activations = study.scheme.activation_type
    if activations is None:
        return None
    model = study.model.clone()
    found = [link for link in links(model.graph) if chosen(link) and not _imposed(link, study)]
    if not found:
        return None
    seen = study.channel_statistics(model, found)
    bits = activations.bits, QuantType(study.scheme.weights.value).bits
    changed = False
    for link in found:
        readers = [_reader(node, seen) for node in link.sinks]
        factor = factors(readers, [seen[str(v.name)] for v in _held(link)], _room(link, seen), bits)
        if factor.min() < 0.99:
            rescale(model.graph, link, factor)
            changed = True
    return study.of(model) if changed else None


def factors(
    readers: Sequence[Reader],
    held: Sequence[ChannelStatistics],
    room: Floats | None,
    bits: tuple[int, int],
) -> Floats:
    """What to divide each channel of the rounded tensors (`held`) by, at most 1, `[C]`.

    `room` says how near each channel comes to the limit of a Clip, as a share of it, `[C]`; None
    where there is no Clip. Bits are those of activations and of weights.
    """
    shares = np.maximum.reduce([one.largest / max(one.largest.max(), 1e-12) for one in held])
    dense = [np.abs(r.weight).max(axis=(0, 2)) for r in readers if not r.own_scales]
    weights = np.maximum.reduce([w / max(w.max(), 1e-12) for w in dense]) if dense else None
    best = np.ones(len(shares), np.float32)
    least = _LEAST_GAIN * _noise(readers, best, bits)
    for tried in _family(shares, weights, room):
        noise = _noise(readers, tried, bits)
        if noise < least:
            best, least = tried, noise
    return best


def _family(shares: Floats, weights: Floats | None, room: Floats | None) -> Iterator[Floats]:
    for activation in _STRENGTHS:
        for weight in _STRENGTHS if weights is not None else (0.0,):
            factor = np.maximum(shares, 1e-6) ** activation
            if weights is not None:
                factor = factor / np.maximum(weights, 1e-6) ** weight
            factor = np.clip(factor / factor.max(), 1 / _LARGEST, 1.0)
            if room is not None:
                factor = np.where(room < 1, np.maximum(factor, room), 1.0)
            yield np.asarray(factor, np.float32)


def _noise(readers: Sequence[Reader], factor: Floats, bits: tuple[int, int]) -> float:
    """Expected noise at the outputs of the readers over their signal, summed.

    A rounded value is off by `step^2 / 12` on average; steps are those of min-max ranges.
    """
    total = 0.0
    for reader in readers:
        taken = np.square(reader.weight).sum(axis=(0, 2))
        signal = max(float(taken @ reader.seen.square), 1e-30)
        span = (reader.seen.high / factor).max() - (reader.seen.low / factor).min()
        step = max(float(span), 1e-30) / (2 ** bits[0] - 1)
        noise = step**2 / 12 * float(taken @ np.square(factor))
        if not reader.own_scales:
            largest = (np.abs(reader.weight).max(axis=2) * factor).max(axis=1)
            steps = float(np.square(largest / (2 ** (bits[1] - 1) - 1)).sum())
            energy = float((reader.seen.square / np.square(factor)).sum())
            noise += _CHOSEN_ROUNDING * steps / 12 * energy * reader.weight.shape[2]
        total += noise / signal if not reader.own_scales else float(np.square(factor).mean())
    return total


def _reader(node: ir.Node, seen: Mapping[str, ChannelStatistics]) -> Reader:
    value = node.inputs[0]
    return Reader(by_channel(node), seen[str(value.name) if value else ""], is_depthwise(node))


def _held(link: Link) -> list[ir.Value]:
    """The tensors that are rounded: not those that a clamp alone reads."""
    return [
        value
        for value in link.tensors
        if len(value.uses()) != 1 or not clamps(next(iter(value.uses())).node)
    ]


def _room(link: Link, seen: Mapping[str, ChannelStatistics]) -> Floats | None:
    """How near each channel may come to the limit of a Clip, as a share of it."""
    if link.limit is None:
        return None
    room = np.zeros(link.channels, np.float32)
    for node in link.inner:
        if node.op_type == "Clip" and node.inputs[0] is not None:
            before = seen[str(node.inputs[0].name)]
            deviation = np.sqrt(np.maximum(before.square - np.square(before.mean), 0.0))
            reached = np.maximum(before.high * _ROOM, before.mean + _DEVIATIONS * deviation)
            # A channel that is rarely on has little to gain, and one sample may wake it up.
            after = seen[str(node.outputs[0].name)]
            reached[after.high <= 0] = link.limit
            reached[after.high > _TAIL * np.sqrt(after.square)] = link.limit
            room = np.maximum(room, reached / np.float32(link.limit))
    return room


def _imposed(link: Link, study: Study) -> bool:
    """Whether someone set the encoding of a tensor or weight that would change."""
    nodes = (*link.sources, *link.inner, *link.sinks)
    names = {str(v.name) for node in nodes for v in (*node.inputs[1:], node.outputs[0]) if v}
    return bool(names & study.fixed.keys())
