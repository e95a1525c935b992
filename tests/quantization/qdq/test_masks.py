"""Attention masks of any size leave the logits their steps, and still mask."""

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.precision import ActivationType
from snapq.quantization.notes import NoteKind
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import Builder


def attention(kind, mask):
    b = Builder()
    x, keep = b.feed("x", 1, 4, 8), b.feed("keep", 1, 1, 8)
    scores = b.add("MatMul", x, b.normal(8, 8, scale=2.0))
    if kind == "added":
        away = b.add("Mul", b.add("Sub", np.ones(1, np.float32), keep), np.float32([mask]))
        scores = b.add("Add", scores, away)
    else:
        chosen = b.add("Greater", keep, np.zeros(1, np.float32))
        scores = b.add("Where", chosen, scores, np.float32([mask]))
    return b.model(b.add("MatMul", b.add("Softmax", scores, axis=-1), b.normal(8, 8)))


def samples():
    random = np.random.default_rng(3)
    for _ in range(6):
        keep = (random.random((1, 1, 8)) > 0.4).astype(np.float32)
        keep[..., 0] = 1
        yield {"x": random.normal(size=(1, 4, 8)).astype(np.float32), "keep": keep}


@pytest.mark.parametrize(
    ("kind", "mask"),
    [("added", -1e4), ("added", -3.4e38), ("chosen", -1e9), ("chosen", -np.inf)],
)
def test_a_masked_attention_is_near_to_float(kind, mask):
    model = attention(kind, mask)
    result = quantize(model, samples(), Scheme()).model
    there, here = CpuModel(model).session, CpuModel(result, optimize=False).session
    for sample in samples():
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        assert decibels(truth, found) > 20


def test_masked_decays_are_near_to_float():
    """Of linear attention: `exp(sums - largest)`, with minus infinity for what comes later."""
    b = Builder()
    sums, later = b.feed("x", 1, 4, 8, 8), ~np.tri(8, dtype=bool)
    masked = b.add("Where", later, np.float32([-np.inf]), sums)
    largest = b.add("ReduceMax", masked, np.int64([-1]), keepdims=1)
    decays = b.add("Exp", b.add("Sub", masked, largest))
    model = b.model(b.add("MatMul", decays, b.normal(8, 8)))
    random = np.random.default_rng(3)
    given = [{"x": random.normal(size=(1, 4, 8, 8)).astype(np.float32)} for _ in range(3)]
    result = quantize(model, given, Scheme()).model
    there, here = CpuModel(model), CpuModel(result, optimize=False)
    for sample in given:
        (truth,), (found,) = there.run(sample).values(), here.run(sample).values()
        assert decibels(truth, found) > 25


def test_a_test_for_nan_goes_with_a_note_where_its_softmax_is_quantized():
    b = Builder()
    scores = b.add("MatMul", b.feed("x", 1, 4, 8), b.normal(8, 8))
    kept = b.add("Greater", b.feed("keep", 1, 1, 8), np.zeros(1, np.float32))
    shares = b.add("Softmax", b.add("Where", kept, scores, np.float32([-np.inf])), axis=-1)
    shares = b.add("Where", b.add("IsNaN", shares), np.zeros(1, np.float32), shares)
    model = b.model(b.add("MatMul", shares, b.normal(8, 8)))
    quantized = quantize(model, samples(), Scheme())
    assert "IsNaN" not in {node.op_type for node in quantized.model.graph}
    assert NoteKind.REMOVED in {note.kind for note in quantized.notes}
    named = {str(n.name): NodePrecision(activations=ActivationType.FLOAT16) for n in model.graph}
    in_float = quantize(model, samples(), Scheme(per_node=named))
    assert "IsNaN" in {node.op_type for node in in_float.model.graph}


@pytest.mark.parametrize(
    ("kind", "mask"), [("added", -1e4), ("added", -3.4e38), ("chosen", -1e9), ("chosen", -np.inf)]
)
def test_a_mask_that_no_sample_had_set_still_masks(kind, mask):
    model = attention(kind, mask)
    unset = [{**sample, "keep": np.ones_like(sample["keep"])} for sample in samples()]
    result = quantize(model, unset, Scheme())
    assert any("mask" in str(note) for note in result.notes)
    there, here = CpuModel(model).session, CpuModel(result.model, optimize=False).session
    for sample in (*samples(), *unset):
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        assert decibels(truth, found) > 20


def test_samples_that_set_the_mask_need_no_room_for_it():
    result = quantize(attention("added", -1e4), samples(), Scheme())
    assert not any("mask" in str(note) for note in result.notes)
