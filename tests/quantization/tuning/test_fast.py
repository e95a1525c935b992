"""The quick way reads samples once, says when it went wrong, and mends biases at 16 bits."""

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.notes import NoteKind
from snapq.quantization.quantize import Scheme, quantize
from snapq.quantization.tuning.presets import (
    PRESETS,
    Recipe,
    tune,
)
from tests.quantization.odd_models import Builder, feeds

WIDE = Scheme(activations=ActivationType.UINT16)


def large_beside_small():
    """A channel hides the others: it has nearly all of the range, and next to no weight behind."""
    b = Builder()
    x = b.feed("x", 1, 4, 8, 8)
    loud = b.normal(16, 4, 1, 1)
    loud[0] *= 3000
    quiet = b.normal(8, 16, 1, 1)
    quiet[:, 0] = 0
    return b.model(b.add("Conv", b.add("Relu", b.add("Conv", x, loud)), quiet))


def far_from_zero():
    """Layers whose inputs are much larger on average than they vary."""
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    first = b.add("Relu", b.add("Conv", x, b.normal(16, 8, 1, 1), np.full(16, 30, np.float32)))
    second = b.normal(16, 16, 1, 1)
    bias = -30 * second.sum(axis=(1, 2, 3))
    return b.model(b.add("Conv", first, second, bias))


def nearness(model, quantized):
    """SQNR at the output on samples of its own."""
    signal = noise = 0.0
    for sample in feeds(model, 68)[64:]:
        truth, found = (
            CpuModel(one, optimize=False).session.run(None, sample)[0] for one in (model, quantized)
        )
        signal += float(np.square(truth).sum())
        noise += float(np.square(truth - found).sum())
    return sqnr(signal, noise)


def test_a_model_far_from_float_is_told_of_by_the_fast_preset():
    model = large_beside_small()
    notes = tune(model, feeds(model, 64), Scheme(), PRESETS["fast"]).notes
    assert any(note.kind is NoteKind.ADVICE and "uint16" in note.text for note in notes)
    wide = tune(model, feeds(model, 64), WIDE, PRESETS["fast"]).notes
    assert not any(note.kind is NoteKind.ADVICE for note in wide)


def test_biases_take_away_what_rounding_adds_at_16_bits():
    model = far_from_zero()
    plain = quantize(model, feeds(model, 64), WIDE)
    found = tune(model, iter(feeds(model, 64)), WIDE, PRESETS["fast"])
    assert any("Biases corrected" in note.text for note in found.notes)
    assert nearness(model, found.model) > nearness(model, plain.model) + 5


@pytest.mark.parametrize("count", [1, 2])
def test_few_samples_are_enough(count):
    model = far_from_zero()
    assert tune(model, feeds(model, count), WIDE, PRESETS["fast"]).encodings


def test_a_recipe_without_steps_leaves_biases_alone():
    model = far_from_zero()
    found = tune(model, feeds(model, 64), WIDE, Recipe())
    assert not any("Biases" in note.text for note in found.notes)


def test_a_small_model_with_few_samples_is_quantized_and_nothing_more():
    model = far_from_zero()
    plain = quantize(model, feeds(model, 8), WIDE)
    found = tune(model, iter(feeds(model, 8)), WIDE, PRESETS["fast"])
    assert io.serialized(found.model) == io.serialized(plain.model)
