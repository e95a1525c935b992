"""Calibration that is done once serves any number of schemes."""

from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, observe, quantize
from tests.quantization.odd_models import MODELS, feeds


def test_what_was_observed_once_gives_the_same_model_as_calibrating_again():
    model = MODELS["transformer_block"]()
    samples = feeds(model, 3)
    known = observe(model, samples)
    for activations in (ActivationType.UINT8, ActivationType.UINT16):
        scheme = Scheme(activations=activations)
        again = quantize(model, samples, scheme)
        once = quantize(model, None, scheme, known=known)
        assert io.serialized(once.model) == io.serialized(again.model)
