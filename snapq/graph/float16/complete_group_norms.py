"""Puts a factor of 1 and a summand of 0 behind a group norm that has none.

1. `InstanceNormalization(Reshape(x, [N, groups, …]))` of x of `[N, channels, height, width]` is
   brought to the shape of x, times 1 and plus 0 for each channel, and then to the shape it had.
2. One that a Mul and an Add of constants follow in the shape of x stays as it is.

With them Qualcomm's compiler sees a group norm of maps, without them the mean of long rows. In us
estimated on QCS9075 and SA8797P (QAIRT 2.51), 64 channels of 1 x 501 in one group between two
layers: 1,564 and 135. Preparing takes the factor and summand of a normalization into the layer
behind it, as behind the norms in front of attention in a U-Net.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.graph.edit import Editor, constant, integers, producer
from snapq.graph.passes.base import Result
from snapq.graph.shapes import static_shape

OPERATORS = ("InstanceNormalization",)
_MAPS = 4


def apply(node: ir.Node, edit: Editor) -> Result:
    """Completes one group norm."""
    before, users = producer(node.inputs[0], "Reshape"), node.outputs[0].consumers()
    if before is None or len(users) != 1 or users[0].op_type != "Reshape":
        return False
    given, rows = static_shape(before.inputs[0]), static_shape(node.inputs[0])
    back = users[0].outputs[0]
    shape = static_shape(back)
    if given is None or rows is None or shape is None or len(given) != _MAPS:
        return False
    if rows[0] != given[0] or given[1] % max(rows[1], 1) or _is_complete(back, given):
        return False
    edit.begin(users[0])
    value = edit.op("Reshape", node.outputs[0], integers(*given))
    for op_type, number in (("Mul", 1.0), ("Add", 0.0)):
        value = edit.op(op_type, value, np.full((given[1], 1, 1), number, np.float32))
    if shape != given:
        value = edit.op("Reshape", value, integers(*shape))
    edit.replace(back, value)
    return True


def _is_complete(value: ir.Value, shape: tuple[int, ...]) -> bool:
    """Whether a constant factor and summand follow, in that shape."""
    for op_type in ("Mul", "Add"):
        users = value.consumers()
        if static_shape(value) != shape or len(users) != 1 or users[0].op_type != op_type:
            return False
        if all(constant(given) is None for given in users[0].inputs):
            return False
        value = users[0].outputs[0]
    return True
