"""The CPU with the noise that a right kernel of the NPU may have."""

from __future__ import annotations

import numpy as np

from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from snapq.precision import ActivationType
from snapq.quantization.agreement.locate import on_cpu
from snapq.quantization.agreement.noise import rounded_to_float16, with_noise
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import build, feeds_for

MODEL = prepare(
    build("(float[2,8,400] x) => (float[2,8,400] y) { a = Sin(x) y = Add(a, x) }", 18), {}
).model
FEEDS = feeds_for(input_specs(MODEL))


def decibels(truth: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(truth**2) / np.sum((truth - found) ** 2)))


def test_codes_of_8_bits_make_more_noise_than_those_of_16_and_each_run_has_its_own() -> None:
    reached = {}
    for bits in (ActivationType.UINT8, ActivationType.UINT16):
        model = quantize(MODEL, [FEEDS], Scheme(activations=bits)).model
        before = [node.op_type for node in model.graph]
        (plain,) = on_cpu(model, [FEEDS])
        runs = [run[0]["y"] for run in with_noise(model, [FEEDS])]
        assert [node.op_type for node in model.graph] == before
        assert len({values.tobytes() for values in runs}) == len(runs) > 1
        reached[bits] = [decibels(plain["y"], values) for values in runs]
    assert all(22 < one < 36 for one in reached[ActivationType.UINT8])
    assert all(52 < one < 70 for one in reached[ActivationType.UINT16])


def test_a_float_model_has_the_rounding_of_float16_and_noise_beside() -> None:
    (plain,) = on_cpu(MODEL, [FEEDS])
    (rounded,) = on_cpu(rounded_to_float16(MODEL), [FEEDS])
    assert 65 < decibels(plain["y"], rounded["y"]) < 80
    for run in with_noise(MODEL, [FEEDS], float16=True):
        assert 50 < decibels(plain["y"], run[0]["y"]) < 65


def test_scores_that_are_nearly_equal_change_places() -> None:
    text = """(float[1,64] x) => (float[1,8] v, int64[1,8] i) <int64[1] k = {8}> {
        a = Neg(x) v, i = TopK (a, k) }"""
    model = prepare(build(text, 18), {}).model
    feeds = {"x": np.linspace(1, 1.003, 64, dtype=np.float32).reshape(1, 64)}
    quantized = quantize(model, [feeds], Scheme(activations=ActivationType.UINT16)).model
    (plain,) = on_cpu(quantized, [feeds])
    runs = [run[0] for run in with_noise(quantized, [feeds])]
    assert all(set(run["i"].flat) != set(plain["i"].flat) for run in runs)
    assert all(decibels(plain["v"], run["v"]) > 60 for run in runs)
