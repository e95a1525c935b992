"""Candidates are compared by their logits where the model ends with a Softmax."""

import numpy as np

from snapq.cpu import CpuModel
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from snapq.quantization.tuning.output_score import before_softmax
from tests.quantization.odd_models import Builder, feeds


def classifier():
    b = Builder()
    y = b.add("Gemm", b.feed("x", 1, 6), b.normal(6, 4), b.normal(4))
    return b.model(b.add("Softmax", y, axis=-1))


def test_logits_take_the_place_and_name_of_probabilities_in_float_and_quantized_models():
    model, sample = classifier(), feeds(classifier(), 4)[0]
    quantized = quantize(model, feeds(model, 4), Scheme()).model
    probabilities = CpuModel(model).session.run(None, sample)[0]
    sessions = [CpuModel(before_softmax(one)).session for one in (model, quantized)]
    assert len({session.get_outputs()[0].name for session in sessions}) == 1
    for session, tolerance in zip(sessions, (1e-6, 0.1), strict=True):
        logits = session.run(None, sample)[0]
        found = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found, probabilities, atol=tolerance)


def test_other_models_stay_as_they_are():
    b = Builder()
    model = b.model(b.add("Relu", b.feed("x", 1, 4)))
    assert before_softmax(model) is model
