"""The check that weights are numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.operators import Family, in_families

_FLOATS = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE}
)
_WEIGHTED = (
    *in_families(Family.CONV, Family.GEMM, Family.NORMALIZATION, Family.RECURRENT),
    "PRelu",
)


def check_weights(model: ir.Model) -> None:
    """Refuses NaN in any constant, and infinity in the weights of layers.

    Infinity elsewhere has its uses: bounds of Clip, masks of attention.

    Raises:
        ModelError: the first initializer that fails, with the count of bad elements.
    """
    for graph in model.graphs():
        for name, value in graph.initializers.items():
            tensor = value.const_value
            if tensor is None or tensor.dtype not in _FLOATS:
                continue
            array = tensor.numpy()
            if array.dtype not in (np.float16, np.float32, np.float64):
                array = array.astype(np.float32)
            weighted = any(node.op_type in _WEIGHTED for node in value.consumers())
            bad, what = int(np.isnan(array).sum()), "not a number (NaN)"
            if not bad and weighted:
                bad, what = int(np.isinf(array).sum()), "infinite"
            if bad:
                raise ModelError(
                    f"{bad} of {array.size} weights are {what}.",
                    where=name,
                    hint="Export the model again from a checkpoint that is sound.",
                )
