"""Masks of single weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snapq.graph.edit import constant
from snapq.pruning.sites import weight_of
from snapq.pruning.sparsity import mask, n_of_m, smallest
from tests.pruning.test_cuts import quantized
from tests.quantization.odd_models import Builder

WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 13)),
    elements=st.floats(-4, 4, width=16),
)


@given(WEIGHTS, st.floats(0.1, 0.9))
def test_what_goes_is_no_larger_than_what_stays(weight: np.ndarray, share: float) -> None:
    stays = smallest(weight, share)
    assert (~stays).sum() == round(share * weight.size)
    if stays.any() and not stays.all():
        assert np.abs(weight[~stays]).max() <= np.abs(weight[stays]).min()


@given(WEIGHTS, st.sampled_from([(1, 2), (2, 4), (1, 4)]))
def test_of_each_block_the_largest_stay(weight: np.ndarray, pattern: tuple[int, int]) -> None:
    n, m = pattern
    stays = n_of_m(weight, n, m, axis=1)
    for row, kept in zip(weight, stays, strict=True):
        for start in range(0, len(row) // m * m, m):
            block, inside = np.abs(row[start : start + m]), kept[start : start + m]
            assert inside.sum() == n
            assert block[inside].min() >= block[~inside].max()
        assert kept[len(row) // m * m :].all()


def test_integers_become_what_stands_for_zero() -> None:
    build = Builder()
    first = build.add("Conv", build.feed("x", 1, 4, 6, 6), build.normal(8, 4, 3, 3))
    model = quantized(build.model(build.add("Conv", first, build.normal(4, 8, 1, 1))))
    masked = mask(model, pattern=(2, 4))
    assert masked.zeros == masked.weights // 2
    for node in model.graph:
        if node.op_type == "Conv":
            weight = weight_of(node, 1)
            assert weight is not None
            assert (weight == 0).mean() >= 0.5
            assert constant(node.inputs[1].producer().inputs[0]).dtype == np.int8
