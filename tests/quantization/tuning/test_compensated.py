"""Second-order rounding of large matrices, beside the one of small ones."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.quantization.tuning.compensated import (
    Compensation,
    refitted,
    second_moment_scales,
)
from snapq.quantization.tuning.rounding import second_order

LIMITS = (-7, 7)


def case(inputs: int, outputs: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(inputs)
    mixed = random.normal(size=(tokens, inputs // 4)) @ random.normal(size=(inputs // 4, inputs))
    seen = mixed + 0.1 * random.normal(size=mixed.shape)
    moment = seen.T @ seen / tokens
    moment += 0.01 * moment.diagonal().mean() * np.eye(inputs)
    return random.normal(size=(inputs, outputs)).astype(np.float32), moment


def missed(weight: np.ndarray, held: np.ndarray, moment: np.ndarray) -> float:
    off = (held - weight).astype(np.float64)
    return float(np.einsum("ko,kl,lo->", off, moment, off))


@pytest.mark.parametrize("inputs", [40, 64, 150])  # less than a block, one, and several
def test_block_by_block_is_as_good_as_input_by_input(inputs: int) -> None:
    weight, moment = case(inputs, 24, 400)
    scale = second_moment_scales(weight, moment, LIMITS)
    found = Compensation.of(moment).rounded(weight, scale, LIMITS)
    wanted = second_order(
        weight.T[None], moment[None].astype(np.float32), scale[None, :, None], *LIMITS
    )
    assert (found == wanted[0].T).mean() > 0.98  # float32 sums in another order
    plain = np.clip(np.rint(weight / scale), *LIMITS) * scale
    errors = [missed(weight, held, moment) for held in (found * scale, wanted[0].T * scale, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)
    assert errors[0] < 0.5 * errors[2]


def test_integers_stay_within_the_limits() -> None:
    weight, moment = case(64, 8, 100)
    weight[:, 3] = 0  # an output that is never used
    weight[5, 4] = 50
    scale = second_moment_scales(weight, moment, LIMITS)
    found = Compensation.of(moment).rounded(weight, scale, LIMITS)
    assert np.isfinite(found).all()
    assert (np.abs(found).max(), np.abs(found[:, 3]).max()) == (7, 0)
    assert (scale > 0).all()


def test_scales_are_clipped_where_that_errs_less() -> None:
    weight, moment = case(64, 8, 100)
    scale = second_moment_scales(weight, moment, LIMITS)
    largest = np.abs(weight).max(axis=0) / LIMITS[1]
    importance = moment.diagonal()

    def off(tried: np.ndarray) -> np.ndarray:
        held = np.clip(np.rint(weight / tried), *LIMITS) * tried
        return importance @ np.square(held - weight)

    assert (off(scale) <= off(largest) * 1.0001).all()
    assert (scale < largest).any()


def test_scales_that_suit_the_integers_err_less() -> None:
    weight, moment = case(64, 8, 100)
    scale = second_moment_scales(weight, moment, LIMITS)
    integers = Compensation.of(moment).rounded(weight, scale, LIMITS)
    integers[:, 2] = 0
    better = refitted(weight, moment, integers, scale)
    errors = [missed(weight, integers * held, moment) for held in (scale, better)]
    assert errors[1] < errors[0]
    assert better[2] == scale[2]
    for factor in (0.99, 1.01):
        assert missed(weight, integers * better * np.float32(factor), moment) > errors[1]
