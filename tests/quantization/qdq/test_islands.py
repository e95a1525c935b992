"""Float nodes among quantized ones get casts, in the order of their inputs, and stay float."""

from pathlib import Path

import onnx_ir as ir
import pytest

from snapq.devices.profiles import find
from snapq.evaluation.sqnr import Energies
from snapq.graph import io
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, quantize
from tests.graph.models import run
from tests.quantization.odd_models import Builder, feeds


def test_casts_stand_in_the_order_of_the_inputs():
    b = Builder()
    x = b.feed("x", 1, 4, 6, 6)
    parts = [b.add("Tanh", b.add("Mul", x, b.normal(1, 4, 1, 1))) for _ in range(6)]
    model = b.model(b.add("Sigmoid", b.add("Max", *parts)))
    maximum = next(node for node in model.graph if node.op_type == "Max")
    kept = {str(maximum.name): NodePrecision(activations=ActivationType.FLOAT16)}
    result = quantize(model, feeds(model, 2), Scheme(per_node=kept)).model
    found = next(node for node in result.graph if node.op_type == "Max")
    casts = [node for node in result.graph if node.op_type == "Cast"][:-1]
    assert len(casts) == len(parts)
    assert [value.producer() for value in found.inputs] == casts


def layered(op_type: str, *, pooled: bool = False) -> ir.Model:
    """Three layers; the middle one's weights need a scale for each of their rows."""
    b = Builder()
    x, gemm = b.feed("x", 1, 8, 12, 12), op_type == "Gemm"
    x = b.add("Relu", b.add("Conv", x, b.normal(8, 8, 3, 3), b.normal(8), pads=[1] * 4))
    weight = b.normal(8, 8) if gemm else b.normal(8, 8, 3, 3)
    weight[:, :4] *= 100
    if gemm:
        x = b.add("Flatten", b.add("GlobalAveragePool", x))
    if pooled:
        x = b.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.add("Relu", b.add(op_type, x, weight, b.normal(8)))
    last = (b.normal(8, 4),) if gemm else (b.normal(4, 8, 1, 1),)
    return b.model(b.add("Gemm" if gemm else "Conv", x, *last, b.normal(4)))


@pytest.mark.parametrize(
    ("op_type", "pooled"),
    [("Conv", False), ("ConvTranspose", False), ("Gemm", False), ("Conv", True)],
)
def test_the_weights_of_a_float_layer_stay_float(
    op_type: str, pooled: bool, tmp_path: Path
) -> None:
    model = layered(op_type, pooled=pooled)
    layer = [node for node in model.graph if node.op_type in ("Conv", "ConvTranspose", "Gemm")][1]
    pools = [node for node in model.graph if node.op_type == "MaxPool"]
    in_float = NodePrecision(activations=ActivationType.FLOAT16)
    kept = {str(node.name): in_float for node in (layer, *pools)}
    scheme = Scheme(activations=ActivationType.UINT16, per_node=kept)
    samples = list(feeds(model, 2))
    result = quantize(model, samples, scheme).model
    io.save(result, tmp_path / "model.onnx")
    (written,) = run(result, samples[0])  # no optimizer of ONNX Runtime's had a hand in it
    device = find("qcs9075")
    (simulated,) = next(iter(Model(tmp_path / "model.onnx", device).simulate(samples[:1]))).values()
    assert Energies.of(written, simulated).relative_noise < 1e-5
