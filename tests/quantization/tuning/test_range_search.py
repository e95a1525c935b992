"""Ranges end where the outputs say, not where a histogram does."""

from dataclasses import replace

import numpy as np
import pytest

from snapq.precision import ActivationType
from snapq.quantization.qdq.lowering.order import lower
from snapq.quantization.quantize import Scheme, observe
from snapq.quantization.tuning.algorithms.base import Study, algorithm
from snapq.quantization.tuning.output_score import OutputScorer
from snapq.quantization.tuning.score import Score
from tests.quantization.odd_models import Builder, feeds


def loud_but_unheard():
    """A layer with a channel 30 times as large as the others, which the next one hardly reads."""
    b = Builder(opset=21)
    sizes = np.ones((8, 1, 1, 1), np.float32)
    sizes[0] = 30.0
    wide = b.add("Conv", b.feed("x", 1, 8, 8, 8), b.normal(8, 8, 1, 1) * sizes, b.normal(8))
    reads = b.normal(8, 8, 1, 1)
    reads[:, 0] *= 1e-4
    return b.model(b.add("Conv", wide, reads, b.normal(8))), wide


def study(model, scheme=None):
    lowered = lower(model, scheme or Scheme())
    samples = feeds(model, 8)
    seen = observe(lowered.model, samples)
    return Study(lowered.model, lowered.scheme, {}, samples, seen)


def test_what_no_layer_hears_is_clipped():
    model, wide = loud_but_unheard()
    before = study(model)
    after = algorithm("range-search")(before)
    assert after is not None
    held = after.built.encodings[wide]
    assert float(held.maximum) < 0.6 * before.seen[wide].maximum
    scorer = OutputScorer(model, feeds(model, 8, seed=5))
    gain = scorer.score(after.built.model).over(scorer.score(before.built.model))
    assert gain.decibels > 3.0


def test_tensors_whose_rounding_is_not_heard_get_room():
    b = Builder(opset=21)
    x = b.feed("x", 1, 8, 8, 8)
    quiet = b.add("Conv", x, b.normal(8, 8, 1, 1), b.normal(8))
    small = b.add("Conv", quiet, b.normal(8, 8, 1, 1) * 1e-3, b.normal(8))
    loud = b.add("Conv", x, b.normal(8, 8, 1, 1), b.normal(8))
    model = b.model(b.add("Add", small, loud))
    before = study(model)
    after = algorithm("range-search")(before)
    assert float(after.built.encodings[quiet].maximum) > 1.15 * before.seen[quiet].maximum


def test_at_16_bits_there_is_nothing_to_search():
    model, _ = loud_but_unheard()
    assert (
        algorithm("range-search")(study(model, Scheme(activations=ActivationType.UINT16))) is None
    )


@pytest.mark.parametrize("change", ["model", "scheme"])
def test_chosen_ranges_are_those_of_one_float_model(change):
    model, wide = loud_but_unheard()
    before = study(model)
    chosen = replace(before, scheme=replace(before.scheme, ranges={wide: (-3.0, 3.0)}))
    assert float(chosen.built.encodings[wide].maximum) == pytest.approx(3.0, rel=0.02)
    if change == "model":
        assert chosen.of(chosen.model.clone()).scheme.ranges == {}
    else:
        wider = replace(chosen.scheme, activations=ActivationType.UINT16)
        held = replace(chosen, scheme=wider).built.encodings[wide]
        assert float(held.maximum) > 0.9 * before.seen[wide].maximum
        roomy = replace(wider, ranges={wide: (-3.0, 2 * before.seen[wide].maximum)})
        held = replace(chosen, scheme=roomy).built.encodings[wide]
        assert float(held.maximum) > 1.9 * before.seen[wide].maximum


def test_a_loss_counts_only_where_it_is_more_than_chance():
    signal = np.ones((8, 1))
    base = Score(signal, np.full((8, 1), 0.01))
    mixed = np.array([[0.012], [0.0085]] * 4)
    assert Score(signal, mixed).over(base).is_no_loss
    assert not Score(signal, np.full((8, 1), 0.012)).over(base).is_no_loss
