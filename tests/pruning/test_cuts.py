"""A cut must be what silencing the same channels in the original is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.graph import io
from snapq.graph.prepare import prepare
from snapq.graph.shapes import freeze, input_specs
from snapq.pruning.check import relative_error
from snapq.pruning.groups import Structure, find
from snapq.pruning.surgery import cut, silence
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import feeds_for, run
from tests.pruning.random_graphs import networks
from tests.quantization.odd_models import Builder, feeds


def some_channels(structure: Structure, seed: int, share: float = 0.4) -> np.ndarray:
    """A random part of every group; one channel stays at least."""
    random = np.random.default_rng(seed)
    parts = [
        random.permutation(group.labels)[: int(share * group.channels)]
        for group in structure.groups
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def assert_cut_is_silence(model: ir.Model, seed: int, tolerance: float = 1e-4) -> Structure:
    structure = find(model)
    removed = some_channels(structure, seed)
    result = cut(structure, removed)
    sample = feeds_for(input_specs(model), seed)
    pairs = zip(run(silence(structure, removed), sample), run(result, sample), strict=True)
    for wanted, found in pairs:
        assert relative_error(wanted, found) < tolerance
    return structure


@settings(max_examples=60)
@given(networks(), st.integers(0, 1000))
def test_cutting_is_silencing_on_random_networks(model: ir.Model, seed: int) -> None:
    structure = assert_cut_is_silence(model, seed)
    assert structure.groups


REAL = {
    "efficientnet_lite0_batch_norm": {},
    "centerface": {"input.1": (1, 3, 64, 96)},
    "ppocr_rec": {"x": (1, 3, 48, 96)},
    "ppocr_det": {"x": (1, 3, 64, 64)},
    "ppocr_cls": {"x": (1, 3, 48, 64)},
    "silero_vad": {"input": (1, 576), "state": (2, 1, 128), "sr": 16000},
}


@pytest.mark.parametrize("name", REAL)
def test_cutting_is_silencing_on_real_models(name: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(name)
    model = prepare(io.load(path), REAL[name]).model
    structure = assert_cut_is_silence(model, 0)
    assert len(structure.groups) > 2


def quantized(model: ir.Model) -> ir.Model:
    samples = feeds(model, 2)
    made = quantize(model, samples, Scheme()).model
    return freeze(made, {})


@settings(max_examples=12)
@given(networks(most=3), st.integers(0, 1000))
def test_cutting_integers_is_silencing_too(model: ir.Model, seed: int) -> None:
    structure = assert_cut_is_silence(quantized(model), seed, tolerance=1e-2)
    assert structure.groups


def test_scales_and_biases_are_cut_with_their_channels() -> None:
    build = Builder()
    data = build.feed("x", 1, 3, 6, 6)
    first = build.add("Conv", data, build.normal(8, 3, 3, 3), build.normal(8))
    second = build.add("Conv", first, build.normal(4, 8, 1, 1), build.normal(4))
    structure = find(quantized(build.model(second)))
    (group,) = structure.groups
    result = cut(structure, group.labels[:3])
    shapes = {
        name: tuple(value.const_value.shape.numpy())
        for name, value in result.graph.initializers.items()
        if value.const_value is not None
    }
    assert shapes["constant_0_quantized"] == (5, 3, 3, 3)
    assert shapes["constant_0_scale"] == shapes["constant_1_quantized"] == (5,)
    assert shapes["constant_2_quantized"] == (4, 5, 1, 1)
    assert shapes["constant_2_scale"] == (4,)


def test_a_pad_that_takes_rows_and_columns_away_goes_on_doing_so() -> None:
    build = Builder()
    hidden = build.add("Conv", build.feed("x", 1, 3, 6, 6), build.normal(8, 3, 1, 1))
    cropped = build.add("Pad", hidden, np.array([0, 0, -1, 0, 0, 0, 0, -2], np.int64))
    model = build.model(build.add("Conv", cropped, build.normal(2, 8, 1, 1)))
    assert assert_cut_is_silence(model, 0).groups
