"""Residual streams of transformers are turned: the same to the float model, nearer at 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.evaluation.sqnr import sqnr
from snapq.graph.prepare import prepare
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import observe
from snapq.quantization.tuning.algorithms.base import Study
from snapq.quantization.tuning.algorithms.rotation import rotate, rotation
from tests.quantization.odd_models import Builder, feeds
from tests.quantization.tuning.test_channels import assert_seen

WIDTH = 32


def vision_transformer(norm: str = "LayerNormalization", *, behind: bool = False):
    """Patches of a picture, a token joined to them, and layers on a stream with a large channel.

    Normalizations stand in front of the layers, as in ViT; with `behind`, on the stream, as in
    BERT.
    """
    b = Builder()
    large = np.where(np.arange(WIDTH) == 5, 12.0, 1.0).astype(np.float32)
    patches = b.add("Conv", b.feed("x", 1, 3, 8, 8), b.normal(WIDTH, 3, 2, 2), strides=[2, 2])
    rows = b.add("Reshape", patches, np.array([1, WIDTH, 16]))
    rows = b.add("Transpose", rows, perm=[0, 2, 1])
    x = b.add("Concat", b.normal(1, 1, WIDTH), rows, axis=1)
    for _ in range(3):
        read = x if behind else normalized(b, norm, x)
        hidden = b.add("Gelu", layer(b, read, WIDTH, 2 * WIDTH))
        x = b.add("Add", x, b.add("Mul", layer(b, hidden, 2 * WIDTH, WIDTH), large))
        x = normalized(b, norm, x) if behind else x
    token = b.add("Gather", normalized(b, norm, x), np.array([0]), axis=1)
    return prepare(
        b.model(layer(b, token, WIDTH, 10), b.add("Sigmoid", normalized(b, norm, x))), {}
    ).model


def normalized(b, norm, x):
    bias = [b.normal(WIDTH)] if norm == "LayerNormalization" else []
    return b.add(norm, x, np.abs(b.normal(WIDTH)) + 0.5, *bias, axis=-1)


def layer(b, x, inputs, outputs):
    return b.add("Add", b.add("MatMul", x, b.normal(inputs, outputs)), b.normal(outputs))


def studied(model):
    return Study(model, Scheme(), {}, feeds(model, 6), observe(model, feeds(model, 6)))


def decibels(truth, found):
    return [
        sqnr(float(np.square(a).sum()), float(np.square(a - b).sum()))
        for a, b in zip(truth, found, strict=True)
    ]


def outputs(model, sample):
    return list(CpuModel(model, optimize=False).run(sample).values())


@pytest.mark.parametrize("norm", ["LayerNormalization", "RMSNormalization"])
def test_a_turned_stream_computes_the_same_and_is_nearer_at_8_bits(norm):
    study = studied(vision_transformer(norm))
    turned = rotate(study)
    (sample,) = feeds(study.model, 1, seed=9)
    truth = outputs(study.model, sample)
    assert min(decibels(truth, outputs(turned.model, sample))) > 100
    before = decibels(truth, outputs(study.built.model, sample))
    after = decibels(truth, outputs(turned.built.model, sample))
    assert min(np.subtract(after, before)) > 2
    assert_seen(turned)


def test_a_stream_that_runs_through_normalizations_stays():
    assert rotate(studied(vision_transformer(behind=True))) is None


@pytest.mark.parametrize(("channels", "most"), [(5, 0.75), (48, 0.2), (96, 0.3), (200, 0.3)])
def test_a_turn_keeps_lengths_and_means_and_spreads_every_channel(channels, most):
    turn = rotation(channels)
    assert np.allclose(turn @ turn.T, np.eye(channels))
    assert np.allclose(turn @ np.ones(channels), 1)
    assert np.abs(turn).max() < most
