"""4-bit weights by blocks: scales that the NPU has, nearer to float, where it takes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.npu.qnn.simulate import simulate
from snapq.precision import ActivationType, WeightType
from snapq.quantization.encodings import QuantType, dequantize, quantize
from snapq.quantization.granularity import PER_OUTPUT, PerBlock
from snapq.quantization.lint.run import lint
from snapq.quantization.qdq.block_scales import block_encoding
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize as quantize_model
from snapq.quantization.tuning.presets import (
    PRESETS,
    Recipe,
    tune,
)
from tests.quantization.odd_models import Builder, feeds, scalar

SCHEME = {"weights": WeightType.INT4, "activations": ActivationType.UINT16}
BLOCKS = PerBlock(1, 16)


def uneven(random, outputs, inputs):
    """A matrix with some inputs that weigh much more than others."""
    size = np.exp(1.5 * random.normal(size=(1, inputs // 8, 1)))
    matrix = random.normal(size=(outputs, inputs // 8, 8)) * size
    return (matrix.reshape(outputs, inputs) * 0.1).astype(np.float32)


def products():
    """A Gemm with a bias and alpha, a product of rows, and convolutions of one and of nine taps."""
    b = Builder()
    x = b.feed("x", 1, 64, 6, 6)
    y = b.add("Conv", x, uneven(b.random, 32, 64).reshape(32, 64, 1, 1), b.normal(32))
    y = b.add("Relu", b.add("Conv", y, b.normal(32, 32, 3, 3, scale=0.05), pads=[1, 1, 1, 1]))
    rows = b.add("Reshape", b.add("Transpose", y, perm=[0, 2, 3, 1]), np.array([36, 32]))
    z = b.add("Gemm", rows, uneven(b.random, 48, 32), b.normal(48), transB=1, alpha=0.5)
    z = b.add("Reshape", b.add("Sigmoid", z), np.array([1, 36, 48]))
    return b.model(b.add("Mul", b.add("MatMul", z, uneven(b.random, 16, 48).T.copy()), scalar(2)))


def outputs(model, samples):
    session = CpuModel(model, optimize=False).session
    return [session.run(None, sample)[0] for sample in samples]


def nearness(truth, found):
    noise = sum(float(np.square(a - b).sum()) for a, b in zip(truth, found, strict=True))
    return sqnr(sum(float(np.square(a).sum()) for a in truth), noise)


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 32]))
def test_scales_are_whole_multiples_of_a_scale_of_the_channel(seed, block):
    random = np.random.default_rng(seed)
    weight = uneven(random, 5, 64).reshape(5, 64, 1, 1)
    encoding = block_encoding(weight, block)
    assert encoding.scale.shape == (5, 64 // block, 1, 1)
    times = encoding.scale / (encoding.scale.max(axis=1, keepdims=True) / 16)
    assert np.allclose(times, np.rint(times), rtol=1e-5)
    assert times.min() > 0.99
    assert np.isclose(times.max(), 16)
    back = dequantize(quantize(weight, encoding), encoding)
    step = np.repeat(encoding.scale, block, axis=1)
    assert (np.abs(back - weight) <= 0.5001 * step).all()


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["fast", "best"])
def test_blocks_bring_4_bit_weights_nearer_to_float(preset):
    model, samples = products(), feeds(products(), 20)
    others = feeds(model, 4, seed=5)
    truth = outputs(model, others)
    found = {
        shared: tune(model, samples, Scheme(**SCHEME, granularity=shared), PRESETS[preset])
        for shared in (PER_OUTPUT, BLOCKS)
    }
    near = {shared: nearness(truth, outputs(one.model, others)) for shared, one in found.items()}
    assert near[BLOCKS] > near[PER_OUTPUT] + 1
    assert lint(found[BLOCKS].model, 73) == ()


@pytest.mark.parametrize("name", ["gptq", "gptaq"])
def test_rounding_minds_the_blocks(name):
    model, samples = products(), feeds(products(), 20)
    others = feeds(model, 4, seed=5)
    truth, scheme = outputs(model, others), Scheme(**SCHEME, granularity=BLOCKS)
    plain = quantize_model(model, samples, scheme)
    better = tune(model, samples, scheme, Recipe(algorithms=(name,)))
    near = [nearness(truth, outputs(one.model, others)) for one in (plain, better)]
    assert near[1] > near[0] + 1


def test_products_become_convolutions_and_what_cannot_have_blocks_is_named():
    model = products()
    result = quantize_model(model, feeds(model, 8), Scheme(**SCHEME, granularity=BLOCKS))
    blocked = {
        user.name
        for node in result.model.graph
        if node.attributes.get_int("block_size", 0) == 16
        for user, _ in node.outputs[0].uses()
    }
    kinds = {node.name: node.op_type for node in result.model.graph if node.name in blocked}
    assert kinds == dict.fromkeys(("node_conv_0", "node_gemm_5", "node_matmul_8"), "Conv")
    assert result.encodings["gemm_5"].dtype is QuantType.UINT16
    (note,) = result.notes
    assert note.nodes == ("node_conv_1",)
    assert "the NPU has blocks for" in note.text


@pytest.mark.npu
def test_the_npu_computes_what_the_cpu_does(tmp_path):
    model = products()
    samples = feeds(model, 8)
    result = quantize_model(model, samples, Scheme(**SCHEME, granularity=BLOCKS)).model
    io.save(result, tmp_path / "model.onnx")
    found = simulate(tmp_path / "model.onnx", find("qcs9075"), samples[:2], workers=1)
    there = [next(iter(one.values())) for one in found]
    assert nearness(outputs(result, samples[:2]), there) > 35
