"""Rounding by second moments: never worse than plain rounding, and near to what search finds."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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
    integers, chosen = rounded(weight, moment, scale, 7, move=False)
    one = second_order(weight, moment, scale, -7, 7)
    assert error(weight, integers * chosen, moment) <= error(weight, one * scale, moment) * 1.0001
    assert np.abs(integers).max() <= 7
