"""Cross-layer equalization: channels of one tensor brought to like ranges, at no cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snapq.quantization.algorithms.base import Stage, Study, register
from snapq.quantization.channels import Link, channel_ranges, conv_links, rescale

__all__ = ["equalize", "factors"]

Floats = npt.NDArray[np.float32]

_ROOM = 1.25
"""How far above what was seen a channel may go before a Clip cuts it off."""
_LARGEST = 16.0
"""Most by which a channel is enlarged."""


@register("cross-layer-equalization", Stage.MODEL)
def equalize(study: Study) -> Study | None:
    """Enlarges the small channels between two layers; the second layer's weights shrink by as much.

    A tensor has one scale, so a channel of small values has few steps. Between a Conv and a
    depthwise Conv, which has a scale a channel of its own, channels are brought to one range.
    Elsewhere the second layer's weights set a bound: the factor is the root of what both want.

    A Clip (ReLU6) does not let factors pass, `clip(c x) != c clip(x)`, except for a channel that
    never comes near its limit and does not do so once enlarged. All others keep factor 1, so the
    network computes what it did.

    Source: Nagel et al., arXiv:1906.04721, with ranges of activations in place of the first
    layer's weights, as those have a scale a channel.
    """
    model = study.model.clone()
    links = [link for link in conv_links(model.graph) if not _imposed(link, study)]
    if not links:
        return None
    ranges = channel_ranges(model, links, study.samples)
    changed = False
    for link in links:
        low, high = ranges[str(link.tensor.name)]
        factor = factors(np.maximum(-low, high), link.sink_weights(), link.limit)
        if factor.min() < 0.99:
            rescale(model.graph, link, factor)
            changed = True
    return study.of(model) if changed else None


def factors(largest: Floats, weights: Floats, limit: float | None) -> Floats:
    """What to divide each channel by, at most 1.

    Args:
        largest: largest magnitude of each channel, `[C]`.
        weights: largest weight that takes it, `[C]`; 0 where weights do not matter.
        limit: of a Clip on the way; None where there is none.
    """
    whole = max(float(largest.max()), 1e-12)
    wanted = np.maximum(largest / whole, 1e-12)
    if weights.any():
        share = np.maximum(weights / weights.max(), 1e-6)
        # A channel whose weights are small already cannot lose more of them.
        wanted = np.sqrt(wanted / np.minimum(share, 1.0))
    factor = np.clip(wanted, 1 / _LARGEST, 1.0)
    if limit is not None:
        room = largest * _ROOM / limit
        factor = np.where(room < 1, np.maximum(factor, room), 1.0)
    return np.asarray(factor, np.float32)


def _imposed(link: Link, study: Study) -> bool:
    """Whether someone set the encoding of a tensor or weight that would change."""
    nodes = (link.source, *link.between, *link.sinks)
    names = {str(v.name) for node in nodes for v in (*node.inputs[1:], node.outputs[0]) if v}
    return bool(names & study.fixed.keys())
