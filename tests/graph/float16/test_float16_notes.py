"""What is told of float nodes that have few digits in fp16."""

import numpy as np

from snapq.graph.float16.notes import float16_notes
from snapq.graph.prepare import prepare
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds


def head():
    """Scores as products of two, joined to boxes, beside a gate and a sorting."""
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    gated = b.add("Mul", b.add("Sigmoid", b.add("Neg", x)), x)
    scores = b.add("Mul", b.add("Sigmoid", x), b.add("Sigmoid", b.add("Tanh", x)))
    joined = b.add("Reshape", b.add("Concat", scores, x, axis=1), np.array([1, 16, 36]))
    best = b.add("TopK", b.add("Reshape", gated, np.array([1, 288])), np.array([5]), outputs=2)[0]
    return b.model(joined, b.add("Relu", best))


def test_scores_and_sortings_are_told_and_gates_are_not():
    model = prepare(head(), {}).model
    scores, order = float16_notes(model.graph)
    assert scores.nodes == ("node_sigmoid_3", "node_sigmoid_5")
    assert "steps of 0.0005" in scores.text
    assert order.nodes == ("node_topk_10",)


def test_of_a_quantized_model_only_what_stays_in_float_with_more_than_8_bits_is_told():
    model = prepare(head(), {}).model
    told = {}
    for activations in (ActivationType.UINT8, ActivationType.UINT16):
        found = quantize(model, feeds(model, 1), Scheme(activations=activations, architecture=73))
        told[activations] = [note.nodes for note in found.notes if "TopK compares" in note.text]
    assert told == {ActivationType.UINT8: [], ActivationType.UINT16: [("node_topk_10",)]}


def test_many_scores_are_told_as_they_stay_a_sigmoid():
    b = Builder()
    x = b.feed("x", 1, 40, 2000)
    few = b.feed("few", 1, 40, 10)
    model = b.model(b.add("Sigmoid", x), b.add("Sigmoid", few))
    (scores,) = float16_notes(prepare(model, {}).model.graph)
    assert scores.nodes == ("node_sigmoid_0",)


def test_activations_that_are_outputs_are_no_scores():
    b = Builder(opset=24)
    x = b.feed("x", 1, 8, 6, 6)
    sloped = b.add("Mul", x, b.add("Sigmoid", b.add("Mul", x, np.array(1.7, np.float32))))
    model = b.model(b.add("Swish", x), b.add("Mul", b.add("Sigmoid", x), x), sloped)
    assert float16_notes(model.graph) == float16_notes(prepare(model, {}).model.graph) == ()
