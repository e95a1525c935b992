"""High-bias absorption: what a channel never falls below moves on to the next layer's bias."""

from __future__ import annotations

import numpy as np

from snapq.quantization.tuning.algorithms.base import Stage, Study, register
from snapq.quantization.tuning.channels.changes import shift
from snapq.quantization.tuning.channels.links import Link, links

__all__ = ["absorb"]

_LEAST = 0.02
"""Share of a tensor's range that its lowest channel minimum must reach to be worth the change."""


@register("bias-absorption", Stage.MODEL)
def absorb(study: Study) -> Study | None:
    """Lowers channels that stay well above zero behind a ReLU, and corrects the next bias for it.

    `relu(x) - c = relu(x - c)` wherever `x >= c`, and the samples say what each channel never falls
    below. The range of the tensor shrinks by what its channels have in common with their floor. A
    layer that pads its input with zeros is left alone, as there `0` would have to become `-c`.

    Source: Nagel et al., arXiv:1906.04721, section 4.1.3, with minima from data.
    """
    model = study.model.clone()
    fitting = [link for link in links(model.graph) if _fits(link)]
    if not fitting:
        return None
    seen = study.channel_statistics(model, fitting)
    changed = False
    for link in fitting:
        found = seen[str(link.read.name)]
        floor = np.maximum(found.low, 0.0) * np.float32(0.9)
        if floor.max() > _LEAST * max(float(found.high.max()), 1e-12):
            shift(model.graph, link, floor)
            changed = True
    return study.of(model) if changed else None


def _fits(link: Link) -> bool:
    """One Conv or Gemm, a ReLU, and one of the same kind: biases on both sides and no padding."""
    nodes = (link.sources[0], link.sinks[0])
    return (
        len(link.sources) == len(link.sinks) == 1
        and [node.op_type for node in link.inner] == ["Relu"]
        and nodes[0].op_type == nodes[1].op_type != "ConvTranspose"
        and all(len(node.inputs) > 2 and node.inputs[2] is not None for node in nodes)
        and not any(link.sinks[0].attributes.get_ints("pads", ()))
    )
