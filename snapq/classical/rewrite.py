"""The same model in fewer bytes for a CPU: trees as TreeEnsemble of ai.onnx.ml 5.

The older operators write the numbers of its tree and node and the name of its condition at every
node, and a list of weights at every leaf; TreeEnsemble does not. Nothing else changes: the same
conditions in float32, the same sums of the same weights.
"""

from __future__ import annotations

import numpy as np
import onnx

from snapq.classical.model import ClassicalModel
from snapq.classical.writing import items_to_onnx


def rewrite_for_cpu(model: ClassicalModel) -> onnx.ModelProto:
    """Writes a model of trees, SVMs or linear models for ONNX Runtime on a CPU.

    Args:
        model: as it was read. A ZipMap is left out.

    Returns:
        A model with the same inputs and outputs, the number of rows open.

    Raises:
        ModelError: no ONNX operators say what a step does.
    """
    samples = {
        port.name: np.zeros(
            (port.shape[0] or 2, *(length or 1 for length in port.shape[1:])), port.dtype
        )
        for port in model.inputs
    }
    return items_to_onnx(model.items, samples, model.run(samples))
