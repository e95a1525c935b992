"""Shared weights: the best codebooks, few integers through the stages, sizes told truthfully."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapq
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.quantization.granularity import PER_OUTPUT
from snapq.quantization.tuning.weight_sharing import codebook, share
from tests.pipeline.conftest import DEPLOY, project  # noqa: F401

pytestmark = pytest.mark.slow


def error(levels: np.ndarray, centres: tuple[int, ...]) -> float:
    distance = np.abs(levels[:, None] - np.asarray(centres, np.float64)[None, :])
    return float(np.square(distance.min(axis=1)).sum())


@given(
    st.lists(st.floats(-4, 4, allow_nan=False, width=32), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_no_other_integers_hold_the_weights_with_less_error(values: list[float], k: int) -> None:
    levels = np.asarray(values, np.float64)
    found = codebook(np.rint(levels), k)
    assert len(found) <= k
    every = combinations(range(-4, 5), k)
    best = min(error(np.rint(levels), centres) for centres in every)
    assert error(np.rint(levels), tuple(found)) <= best + 1e-9


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_a_free_codebook_has_few_values_of_8_bits(channels: int | None) -> None:
    weight = np.random.default_rng(0).normal(size=(8, 5, 3, 3)).astype(np.float32)
    shared = share(weight, PER_OUTPUT, 8, "free", channels)
    integers = shared.values / shared.encoding.scale[:, None, None, None]
    assert np.allclose(integers, np.rint(integers), atol=1e-4)
    step = channels or 8
    for start in range(0, 8, step):
        assert len(np.unique(np.rint(integers[start : start + step]))) <= 8
    assert shared.codebooks == -(-8 // step)


@given(st.integers(1, 7))
def test_an_even_codebook_of_16_is_int4_and_beats_the_step_of_the_largest_weight(seed: int) -> None:
    weight = np.random.default_rng(seed).standard_t(4, (6, 40)).astype(np.float32)
    shared = share(weight, PER_OUTPUT, 16, "even", None)
    assert shared.encoding.dtype.value == "int4"
    step = np.abs(weight).max(axis=1, keepdims=True) / 7
    plain = np.clip(np.rint(weight / step), -8, 7) * step
    assert np.square(shared.values - weight).sum() <= 1.001 * np.square(plain - weight).sum()


def weights_of(run: snapq.Run, stage: str) -> dict[str, np.ndarray]:
    record = next(s for s in run.record.stages if s.name == stage)
    model = io.load(run.folder / record.model.path)
    return {
        name: np.asarray(value.const_value.numpy())
        for name, value in model.graph.initializers.items()
        if name.endswith("_quantized") and value.const_value is not None
    }


def run_with(project: Path, stages: str) -> snapq.Run:  # noqa: F811
    head, tail = DEPLOY.split("stages:\n")
    text = head + "stages:\n" + stages
    text = text.replace("devices: [qcs9075, sm8650]", "devices: [qcs9075]")
    (project / "deploy.yaml").write_text(text)
    assert "gates" in tail
    return snapq.run(project / "deploy.yaml", runs=project / "runs")


@pytest.mark.parametrize("order", ["before", "after"])
def test_weights_are_shared_before_and_after_quantize(project: Path, order: str) -> None:  # noqa: F811
    stages = ["  - cluster: {clusters: 8}\n", "  - quantize: {preset: best}\n"]
    done = run_with(project, "".join(stages if order == "before" else reversed(stages)))
    last = done.record.stages[-1].name
    (weight,) = (
        array for array in weights_of(done, last).values() if array.shape == (32, 32, 3, 3)
    )
    assert weight.dtype == np.int8
    assert len(np.unique(weight)) <= 8
    record = next(s for s in done.record.stages if s.name == "cluster")
    details = record.details
    assert details["layers"] == 1
    assert details["stored_as"] == "int8"
    assert details["weight_bytes"] == details["weight_bytes_int8"] == 32 * 32 * 9
    assert details["weight_bytes_compressed"] < 0.6 * details["weight_bytes_int8_compressed"]
    assert any("not the model on the device" in note for note in record.notes)
    assert min(f.sqnr_db for f in done.record.fidelity) > 5


@pytest.mark.npu
def test_an_even_codebook_of_16_reaches_the_device_as_int4(project: Path) -> None:  # noqa: F811
    done = run_with(
        project, "  - cluster: {spacing: even, clusters: 16}\n  - quantize: {}\n  - package: {}\n"
    )
    types = {name: array.dtype.name for name, array in weights_of(done, "quantize").items()}
    assert types["w2_quantized"] == "int4"
    assert next(s for s in done.record.stages if s.name == "cluster").details["stored_as"] == "int4"
    assert all(place.cpu == 0 for place in done.record.placements)


def test_a_model_without_a_large_layer_is_refused(project: Path) -> None:  # noqa: F811
    with pytest.raises(ConfigError, match="10000000 weights"):
        run_with(project, "  - cluster: {smallest: 10000000}\n  - quantize: {}\n")
