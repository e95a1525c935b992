"""The NPU cuts off the low digits of sums with 16-bit data; biases make up for the mean of it."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.npu.qnn.simulate import simulate
from snapq.precision import ActivationType
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.granularity import granularity
from snapq.quantization.qdq.wide_bias import as_added
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder

pytestmark = pytest.mark.npu

CHANNELS = 32
STEP = 256


def unit(kind, axis=0, zero=0):
    """An encoding of scale 1, so that numbers are integers."""
    count = () if kind is QuantType.UINT16 else (CHANNELS,)
    own = granularity(None if kind is QuantType.UINT16 else axis)
    return Encoding(kind, np.ones(count, np.float32), np.full(count, zero, kind.numpy), own)


def layer(kind):
    """A layer of whole numbers that fit into their types, biases of both signs."""
    random = np.random.default_rng(0)
    b = Builder()
    bias = random.integers(-5000, 5000, CHANNELS).astype(np.float32)
    if kind == "Gemm":
        size, shape, attributes = (CHANNELS, CHANNELS), (64, CHANNELS), {}
    else:
        per_group = 1 if kind == "depthwise" else CHANNELS
        size, shape = (CHANNELS, per_group, 3, 3), (1, CHANNELS, 8, 8)
        attributes = {"pads": [1, 1, 1, 1], "group": CHANNELS // per_group}
    weight = random.integers(-30, 31, size).astype(np.float32)
    x = b.feed("x", *shape)
    operator = "Gemm" if kind == "Gemm" else "Conv"
    model = b.model(b.add(operator, x, weight, bias, **attributes))
    samples = [{"x": random.integers(0, 40, shape).astype(np.float32)} for _ in range(2)]
    return model, samples


@pytest.mark.parametrize("kind", ["Gemm", "dense", "depthwise"])
def test_the_mean_of_what_the_npu_cuts_off_is_in_the_bias(kind, tmp_path: Path):
    model, samples = layer(kind)
    node = next(node for node in model.graph if node.op_type in ("Gemm", "Conv"))
    fixed = {
        "x": unit(QuantType.UINT16, zero=1313),
        str(node.inputs[1].name): unit(QuantType.INT8, axis=1 if kind == "Gemm" else 0),
        str(node.outputs[0].name): unit(QuantType.UINT16, zero=32768),
    }
    scheme = Scheme(activations=ActivationType.UINT16)
    result = quantize(model, samples, scheme, fixed=fixed).model
    io.save(result, tmp_path / "model.onnx")
    name = str(model.graph.outputs[0].name)

    def on_cpu(one: ir.Model) -> np.ndarray:
        session = CpuModel(one, optimize=False).session
        return np.stack([session.run([name], sample)[0] for sample in samples])

    found = simulate(tmp_path / "model.onnx", find("qcs9075"), samples, workers=1)
    simulated = np.stack([one[name] for one in found])
    axis = -1 if kind == "Gemm" else 2
    others = tuple(i for i in range(simulated.ndim) if i != axis % simulated.ndim)
    off = (simulated - on_cpu(model)).mean(axis=others)
    assert np.abs(off).max() < 0.75 * STEP  # half a step, and the chance of a few hundred sums
    assert abs(off.mean()) < STEP / 8
    stands_in = (simulated - on_cpu(as_added(result))).mean(axis=others)
    assert np.abs(stands_in).max() < STEP / 6
    assert np.abs(on_cpu(result) - on_cpu(model)).max() < 2 * STEP
