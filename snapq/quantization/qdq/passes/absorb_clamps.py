"""Takes out each Relu and Clip whose work saturation does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import input_at
from snapq.operators import Encodings
from snapq.quantization.encodings import Encoding
from snapq.quantization.qdq.decisions import constant
from snapq.quantization.qdq.plan import QdqPlan

__all__ = ["absorb_clamps"]


def absorb_clamps(plan: QdqPlan) -> QdqPlan:
    """Removes each clamp that changes no value that its input's encoding can hold.

    1. For `y = Relu(x)` or `y = Clip(x, low, high)`, where `x` has no other reader and is held in
       the encoding of `y`, and
    2. that encoding's range lies within the limits,
    3. `x` takes the place and the name of `y`.
    """
    left, held = dict(plan.decisions), dict(plan.encodings)
    for node, decision in plan.decisions.items():
        if decision.encodings is not Encodings.CLAMPED:
            continue
        source, output = node.inputs[0], node.outputs[0]
        if source is None or source not in held or held.get(output) != held[source]:
            continue
        alone = len(source.uses()) == 1 and not source.is_graph_output()
        if not alone or source.producer() is None or not _within(node, held[source]):
            continue
        name = output.name
        output.replace_all_uses_with(source, replace_graph_outputs=True)
        plan.graph.remove(node, safe=True)
        source.name = name
        del left[node], held[output]
    return replace(plan, decisions=left, encodings=held)


def _within(node: ir.Node, encoding: Encoding) -> bool:
    """Whether a clamp's limits leave everything as it is that an encoding can hold."""
    low, high = (0.0, np.inf) if node.op_type == "Relu" else (_limit(node, 1), _limit(node, 2))
    if low is None or high is None:
        return False
    # Half a step: the zero point is rounded, and moves the ends of the range by less than that.
    slack = float(encoding.scale) / 2
    return float(encoding.minimum) >= low - slack and float(encoding.maximum) <= high + slack


def _limit(node: ir.Node, index: int) -> float | None:
    """A limit of a Clip; infinite where it has none, None where it is computed."""
    value = input_at(node, index)
    if value is None:
        return -np.inf if index == 1 else np.inf
    tensor = constant(value)
    return float(tensor.numpy().reshape(-1)[0]) if tensor is not None else None
