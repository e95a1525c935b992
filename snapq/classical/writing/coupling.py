"""Probabilities of classes from those of pairs, by the operator of ONNX Runtime that has them.

An SVMClassifier with a linear kernel whose support vectors are unit vectors has its own inputs as
decision values. It takes them through logistic functions, and couples what comes out. A Loop of
ONNX that does the same takes five times as long.
"""

from __future__ import annotations

import numpy as np

from snapq.classical.program import Step
from snapq.classical.writing.steps import names
from snapq.classical.writing.writer import ML_DOMAIN, Writer, writes


@writes("couple_pairs")
def write_couple_pairs(writer: Writer, step: Step) -> None:
    """Writes the operator with the decision values as they are."""
    (decisions,), outputs = names(writer, step)
    classes = int(step.attributes["classes"])
    pairs = classes * (classes - 1) // 2
    # The vector of a pair (i, j) is one of class i, in the order of pairs.
    coefficients = np.zeros((classes - 1, pairs), np.float32)
    coefficients[np.triu_indices(classes, 1)[1] - 1, np.arange(pairs)] = 1
    writer.add(
        "SVMClassifier",
        decisions,
        outputs=[writer.fresh(), *outputs],
        domain=ML_DOMAIN,
        classlabels_ints=list(range(classes)),
        coefficients=coefficients.reshape(-1).tolist(),
        kernel_params=[0.0, 0.0, 0.0],
        kernel_type="LINEAR",
        prob_a=step.arrays["prob_a"].tolist(),
        prob_b=step.arrays["prob_b"].tolist(),
        rho=[0.0] * pairs,
        support_vectors=np.eye(pairs, dtype=np.float32).reshape(-1).tolist(),
        vectors_per_class=list(range(classes - 1, -1, -1)),
    )
