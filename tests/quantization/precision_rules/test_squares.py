"""The root of squares keeps its quiet values at 8 bits."""

import numpy as np

from snapq.cpu import CpuModel
from snapq.evaluation.sqnr import sqnr
from snapq.quantization.lint.run import lint
from snapq.quantization.precision_rules.squares import squared
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, scalar


def magnitude():
    b = Builder()
    x, y = b.feed("x", 1, 64), b.feed("y", 1, 64)
    total = b.add("Add", b.add("Mul", x, x), b.add("Pow", y, scalar(2)))
    return b.model(b.add("Neg", b.add("Sqrt", total)))


def signals(level):
    random = np.random.default_rng(0)
    for _ in range(8):
        yield {n: (random.normal(size=(1, 64)) * level).astype(np.float32) for n in ("x", "y")}


def test_a_signal_at_a_tenth_of_the_range_is_heard():
    model = magnitude()
    assert squared(model.graph) == {"node_mul_0", "node_pow_1", "node_add_2", "node_sqrt_3"}
    samples = [*signals(1.0), *signals(0.1)]
    result = quantize(model, samples, Scheme())
    assert result.encodings["add_2"].dtype.value == "uint16"
    assert result.encodings["neg_4"].dtype.value == "uint8"
    assert lint(result.model, 73) == ()
    there = CpuModel(model).session
    here = CpuModel(result.model, optimize=False).session
    signal = noise = 0.0
    for sample in signals(0.1):
        truth, found = there.run(None, sample)[0], here.run(None, sample)[0]
        signal += float(np.square(truth).sum())
        noise += float(np.square(truth - found).sum())
    assert sqnr(signal, noise) > 20


def test_a_root_of_something_else_is_left_alone():
    b = Builder()
    x = b.feed("x", 1, 8)
    b.add("Sqrt", b.add("Add", b.add("Mul", x, x), b.add("Abs", x)))
    assert squared(b.model("sqrt_3").graph) == frozenset()
