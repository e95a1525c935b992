"""Fitting gives the weight that makes up for what inputs lost, and leaves it where they did not."""

import numpy as np

from snapq.quantization.tuning.regression import Sums, fitted


def halves(wanted, corrupt, count=4000):
    random = np.random.default_rng(1)
    found = (Sums(), Sums())
    for half in found:
        x = random.normal(size=(1, count, wanted.shape[2])).astype(np.float32)
        half.update(np.float32(corrupt(x)), np.einsum("gok,gpk->gpo", wanted, x) + 3)
    return found


def weight():
    return np.random.default_rng(0).normal(size=(1, 3, 5)).astype(np.float32)


def test_a_weight_makes_up_for_inputs_that_became_smaller():
    given = weight()
    found, strength = fitted(given, halves(given, lambda x: 0.5 * x), about_mean=True)
    assert strength < 0.01
    np.testing.assert_allclose(found, 2 * given, rtol=0.01)


def test_a_weight_stays_where_nothing_can_be_gained():
    given = weight()
    random = np.random.default_rng(2)
    noisy = halves(given, lambda x: x + random.normal(size=x.shape) * 1e-3, count=60)
    found, strength = fitted(given, noisy, about_mean=True)
    np.testing.assert_allclose(found, given, atol=0.01)
    assert strength > 0
