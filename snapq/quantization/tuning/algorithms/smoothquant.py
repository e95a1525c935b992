"""SmoothQuant: large channels of a transformer's activations moved into its weights."""

from __future__ import annotations

import numpy as np

from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.channels.changes import rescale
from snapq.quantization.tuning.channels.links import norm_links
from snapq.quantization.tuning.channels.weights import by_channel

__all__ = ["migrate"]

_STRENGTH = 0.5
"""How much of the difficulty moves from activations to weights."""


@register("smoothquant", Stage.MODEL)
def migrate(study: Study) -> Study | None:
    """Divides channels behind each normalization by a factor that their readers' weights take up.

    The factor of a channel is `max|x|^0.5 / max|w|^0.5`. The normalization's own scale and bias
    absorb the division, so nothing is added to the graph.

    Source: Xiao et al., "SmoothQuant", arXiv:2211.10438.
    """
    model = study.model.clone()
    links = norm_links(model.graph)
    if not links:
        return None
    seen = study.channel_statistics(model, links)
    for link in links:
        largest = np.maximum(seen[str(link.read.name)].largest, 1e-5)
        taken = [np.abs(by_channel(node)).max(axis=(0, 2)) for node in link.sinks]
        weights = np.maximum(np.max(taken, axis=0), 1e-5)
        factor = largest**_STRENGTH / weights ** (1 - _STRENGTH)
        rescale(model.graph, link, np.asarray(factor / np.median(factor), np.float32))
    return study.of(model)
