"""Random support vector machines as ONNX models, as skl2onnx would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


@dataclass(frozen=True)
class Drawn:
    """A machine and rows for it.

    Attributes:
        model: one SVMClassifier or SVMRegressor, input `x` [N, F].
        rows: float32 [N, F].
        size: how large the sums are that its kernels are weighted to; errors are relative to it.
    """

    model: onnx.ModelProto
    rows: NDArray[np.float32]
    size: float


@st.composite
def machines(draw: st.DrawFn, kernel: str | None = None) -> Drawn:
    """Classifiers of 2 to 5 classes with and without probabilities, and regressors."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features, classes = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    chosen = kernel or draw(st.sampled_from(KERNELS))
    per_class = [draw(st.integers(1, 7)) for _ in range(classes)]
    count, pairs = sum(per_class), max(1, classes * (classes - 1) // 2)
    # Features of different sizes and far from 0, as nobody scaled them.
    spread = 10.0 ** draw(st.integers(-2, 2)) * 10.0 ** random.uniform(-0.5, 0.5, features)
    centre = spread * random.uniform(-3, 3, features)
    vectors = (centre + spread * random.normal(size=(count, features))).astype(np.float32)
    rows = (centre + spread * random.normal(size=(20, features))).astype(np.float32)
    degree = draw(st.integers(1, 4))
    largest = float(np.abs(vectors.astype(np.float64) @ rows.T.astype(np.float64)).max())
    squares = float((spread * spread).sum())
    gamma = draw(st.floats(0.1, 2)) / (squares if chosen == "RBF" else largest)
    coef0 = draw(st.sampled_from([0.0, 1.0, -0.5]))
    coefficients = random.normal(size=(max(1, classes - 1), count))
    rho = random.normal(size=pairs)
    options: dict[str, Any] = {
        "kernel_type": chosen,
        "kernel_params": [gamma, coef0, float(degree)],
        "coefficients": coefficients.reshape(-1).astype(np.float32).tolist(),
        "support_vectors": vectors.reshape(-1).tolist(),
        "rho": rho.astype(np.float32).tolist(),
    }
    if classes == 1:
        node = helper.make_node(
            *("SVMRegressor", ["x"], ["scores"], "svm"),
            domain="ai.onnx.ml",
            n_supports=count,
            one_class=0,
            **options,
        )
        outputs = [("scores", TensorProto.FLOAT, [None, 1])]
    else:
        texts = draw(st.booleans())
        labels: Any = (
            [f"class {k}" for k in range(classes)] if texts else list(range(3, 3 + classes))
        )
        if draw(st.booleans()):
            options["prob_a"] = random.uniform(-3, -0.5, pairs).astype(np.float32).tolist()
            options["prob_b"] = random.normal(size=pairs).astype(np.float32).tolist()
        node = helper.make_node(
            *("SVMClassifier", ["x"], ["label", "scores"], "svm"),
            domain="ai.onnx.ml",
            vectors_per_class=per_class,
            **({"classlabels_strings": labels} if texts else {"classlabels_ints": labels}),
            **options,
        )
        kind = TensorProto.STRING if texts else TensorProto.INT64
        outputs = [("label", kind, [None]), ("scores", TensorProto.FLOAT, None)]
    graph = helper.make_graph(
        [node],
        "svm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info(*output) for output in outputs],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    kernel_size = largest if chosen == "LINEAR" else 1.0
    if chosen == "POLY":
        kernel_size = (gamma * largest + abs(coef0)) ** degree
    weighted = float(np.abs(coefficients).sum()) * max(kernel_size, 1e-6)
    return Drawn(model, rows, weighted + float(np.abs(rho).max()))
