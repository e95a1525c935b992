"""A layer as a matrix product computes what ONNX Runtime computes for its node."""

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.quantization.qdq.order import decide
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.tuning.layers import (
    columns,
    layers,
    places,
    results,
)
from tests.quantization.odd_models import Builder, feeds

CASES = {
    "conv": ("Conv", (1, 6, 9, 8), (4, 6, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "dilated": ("Conv", (2, 4, 9, 9), (8, 4, 3, 2), {"dilations": [2, 3]}),
    "grouped": ("Conv", (1, 6, 5, 5), (8, 3, 3, 3), {"group": 2}),
    "depthwise": ("Conv", (1, 6, 5, 5), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    "one-dimensional": ("Conv", (1, 4, 20), (8, 4, 5), {"strides": [2], "pads": [2, 1]}),
    "gemm": ("Gemm", (3, 6), (6, 4), {"alpha": 0.5}),
    "transposed gemm": ("Gemm", (3, 6), (4, 6), {"transB": 1}),
    "matmul": ("MatMul", (2, 3, 6), (6, 4), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_is_its_matrix_times_its_columns(case):
    op_type, shape, weight, attributes = CASES[case]
    b = Builder()
    model = b.model(b.add(op_type, b.feed("x", *shape), b.normal(*weight), **attributes))
    ((layer,), sample) = layers(decide(model, Scheme(), {})), feeds(model, 1)[0]
    expected = CpuModel(model).session.run(None, sample)[0]
    chosen = places(layer, sample["x"].shape, 10, np.random.default_rng(0))
    found = np.einsum("gok,gpk->gpo", layer.matrix, columns(layer, sample["x"], chosen))
    np.testing.assert_allclose(found, results(layer, expected, chosen), atol=1e-5)
    assert len(chosen) == min(10, expected.size // layer.matrix.shape[1] // layer.group)
    assert (layer.restore(layer.matrix) == layer.weight).all()
