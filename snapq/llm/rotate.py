"""Turns the residual stream of a pair, so that no channel of it is far larger than the others.

One channel of SmolLM2-135M holds 24,600 at the first token while the others hold 2 to 30; with one
scale for all, 16 bits leave these a dozen steps. RMSNormalization keeps the length of what it reads
and nothing else, so the stream can be turned by an orthogonal matrix: the table of embeddings and
the layers that write the stream give turned channels, the layers that read it turn back, and the
scales of normalizations go into the latter. The logits stay.
Source: QuaRot, Ashkboos et al., arXiv:2404.00456.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.graph.edit import constant
from snapq.llm.files import Facts
from snapq.quantization.tuning.algorithms.rotation import rotation

__all__ = ["MOST_CHANNELS", "rotate"]

Floats = npt.NDArray[np.float32]
MOST_CHANNELS = 8192
"""Wider streams stay as they are: the matrix alone would take gigabytes."""


def rotate(model: ir.Model, facts: Facts) -> bool:
    """Turns the stream of one graph of a pair, in place; the logits stay.

    Args:
        model: one of the graphs, its weights in memory.
        facts: sizes.

    Returns:
        Whether it was turned; not where it is too wide.
    """
    if facts.hidden > MOST_CHANNELS:
        return False
    graph, turn = model.graph, np.asarray(rotation(facts.hidden), np.float32)
    _change(graph, "embedding.weight", lambda held: held @ turn)
    for layer in range(facts.layers):
        name = f"layers.{layer}"
        _read(graph, f"{name}.norm1", [f"{name}.{one}" for one in "qkv"], turn)
        _read(graph, f"{name}.norm2", [f"{name}.gate", f"{name}.up"], turn)
        for one in ("o", "down"):
            _change(graph, f"{name}.{one}.weight_transposed", lambda held: held @ turn)
            if f"{name}.{one}.bias" in graph.initializers:
                _change(graph, f"{name}.{one}.bias", lambda held: held @ turn)
    _read(graph, "norm", ["head"], turn)
    return True


def _read(graph: ir.Graph, norm: str, layers: Sequence[str], turn: Floats) -> None:
    """Lets the layers behind a normalization turn back, with its scale in them."""
    held = constant(graph.initializers[f"{norm}.weight"])
    assert held is not None
    scale = np.asarray(held, np.float32)
    for name in layers:
        _change(graph, f"{name}.weight_transposed", lambda held: turn.T @ (scale[:, None] * held))
    _change(graph, f"{norm}.weight", np.ones_like)


def _change(graph: ir.Graph, name: str, change: Callable[[Floats], Floats]) -> None:
    value = graph.initializers[name]
    held = constant(value)
    assert held is not None
    changed = np.ascontiguousarray(change(np.asarray(held, np.float32)), np.float32)
    value.const_value = ir.Tensor(changed, name=name)
