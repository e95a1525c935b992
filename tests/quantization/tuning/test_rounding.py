"""Rounding by second moments: never worse than plain rounding, and near to what search finds."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snapq.quantization.tuning.factors import inverse_factor
from snapq.quantization.tuning.rounding import (
    clip_search,
    damped,
    descend,
    rounded,
    second_order,
)

SEEDS = st.integers(0, 10_000)


def error(weight, rounded, moment):
    """The layer's output error, summed over outputs."""
    off = rounded - weight
    return float(np.einsum("gok,gok->", off @ moment, off))


def layer(seed, groups=2, outputs=3, inputs=6):
    """Weights, the moment of correlated inputs, and scales of 4 bits."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=(groups, outputs, inputs)).astype(np.float32)
    mixing = random.normal(size=(groups, inputs, inputs))
    x = (random.normal(size=(groups, 50, inputs)) @ mixing).astype(np.float32)
    moment = damped(x.transpose(0, 2, 1) @ x / 50, 50)
    scale = np.abs(weight).max(axis=2, keepdims=True) / 7
    return weight, moment, scale


def plain(weight, scale):
    return np.clip(np.rint(weight / scale), -7, 7)


@given(SEEDS)
def test_descent_never_makes_it_worse(seed):
    weight, moment, scale = layer(seed)
    start = second_order(weight, moment, scale, -7, 7)
    found = descend(weight, moment, scale, start, (-7, 7), 50)
    assert error(weight, found * scale, moment) <= error(weight, start * scale, moment) * 1.0001
    assert np.abs(found).max() <= 7


def test_second_order_rounding_errs_less_than_plain_rounding():
    ratios = []
    for seed in range(20):
        weight, moment, scale = layer(seed, inputs=24)
        found = error(weight, second_order(weight, moment, scale, -7, 7) * scale, moment)
        ratios.append(found / error(weight, plain(weight, scale) * scale, moment))
    assert np.median(ratios) < 0.6


def test_descent_is_near_to_the_best_of_all_roundings():
    for seed in range(10):
        weight, moment, scale = layer(seed, groups=1, outputs=1, inputs=8)
        down = np.clip(np.floor(weight / scale), -7, 6)
        best = min(
            error(weight, (down + np.array(up)) * scale, moment)
            for up in itertools.product((0.0, 1.0), repeat=8)
        )
        start = second_order(weight, moment, scale, -7, 7)
        found = descend(weight, moment, scale, start, (-7, 7), 100)
        assert error(weight, found * scale, moment) < 2.0 * best + 1e-6


def test_with_independent_inputs_second_order_rounding_is_plain_rounding():
    weight, moment, scale = layer(3)
    alone = moment * np.eye(6, dtype=np.float32)
    found = second_order(weight, alone, scale, -7, 7)
    assert (found == plain(weight, scale)).all()


@given(SEEDS)
def test_searched_scales_err_less_than_the_largest_weight_s(seed):
    weight, moment, scale = layer(seed)
    diagonal = moment * np.eye(6, dtype=np.float32)
    chosen = clip_search(weight, moment, scale, 7)
    found = error(weight, plain(weight, chosen) * chosen, diagonal)
    assert found <= error(weight, plain(weight, scale) * scale, diagonal) * 1.0001


@given(SEEDS)
def test_rounding_at_several_scales_errs_no_more_than_at_one(seed):
    weight, moment, scale = layer(seed)
    found = rounded(weight, moment, scale, 7, move=True)
    one = second_order(weight, moment, scale, -7, 7) * scale
    integers, chosen = found.still
    still = error(weight, integers * chosen, moment)
    assert still <= error(weight, one, moment) * 1.0001
    moved, own = found.moved
    assert error(weight, moved * own, moment) <= still * 1.0001
    assert max(np.abs(integers).max(), np.abs(moved).max()) <= 7


def test_blocks_of_inputs_round_as_one_by_one_would():
    weight, moment, scale = layer(5, groups=1, outputs=4, inputs=100)
    order = np.argsort(-moment[0].diagonal(), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(moment[0][np.ix_(order, order)].astype(float))).T
    left, integers = weight[0][:, order].astype(float), np.empty((4, 100))
    for k in range(100):
        integers[:, k] = np.clip(np.rint(left[:, k] / scale[0, :, 0]), -7, 7)
        missed = (left[:, k] - integers[:, k] * scale[0, :, 0]) / upper[k, k]
        left[:, k + 1 :] -= missed[:, None] * upper[k, k + 1 :]
    found = second_order(weight, moment, scale, -7, 7)[0][:, order]
    assert (found != integers).mean() < 0.02


def test_factors_are_those_of_the_inverse():
    random = np.random.default_rng(0)
    for size in (1, 7, 150):
        x = random.normal(size=(2, size, 2 * size))
        moment = x @ x.transpose(0, 2, 1)
        upper = inverse_factor(moment)
        assert np.allclose(upper.transpose(0, 2, 1) @ upper @ moment, np.eye(size), atol=1e-8)
        assert (upper == np.triu(upper)).all()
