"""A layer of few results gives what it gave, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.shapes import input_specs
from snapq.npu.judged import narrow_results
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType, WeightType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import feeds_for, run
from tests.quantization.odd_models import Builder, feeds


def network(
    results: int = 3,
    size: int = 64,
    pads: tuple[int, ...] = (1, 1, 1, 1),
    behind: str = "Sigmoid",
    **attributes: Any,
) -> ir.Model:
    """A layer of 16 channels, and one of few results behind it."""
    make = Builder()
    x = make.feed("x", 1, 3, size, size)
    x = make.add("Relu", make.add("Conv", x, make.normal(16, 3, 1, 1)))
    kernel = 1 + pads[0] + pads[2], 1 + pads[1] + pads[3]
    weight = make.normal(results, 16, *kernel)
    last = make.add("Conv", x, weight, make.normal(results), pads=[*pads], **attributes)
    return make.model(make.add(behind, last))


@pytest.mark.parametrize("precision", ["float", "w8a8", "w4a16"])
@pytest.mark.parametrize(
    ("results", "pads", "behind"),
    [(1, (0, 2, 1, 0), "Sigmoid"), (3, (1, 1, 0, 1), "Relu"), (2, (0, 0, 0, 0), "Relu")],
)
def test_the_outputs_stay_the_same(
    precision: str, results: int, pads: tuple[int, ...], behind: str
) -> None:
    model = network(results, pads=pads, behind=behind)
    if precision != "float":
        four = precision == "w4a16"
        scheme = Scheme(
            weights=WeightType.INT4 if four else WeightType.INT8,
            activations=ActivationType.UINT16 if four else ActivationType.UINT8,
        )
        model = quantize(model, feeds(model, 2), scheme).model
    (name,) = narrow_results.sites(model)
    result = narrow_results.apply(model, [name])
    assert "DepthToSpace" in [node.op_type for node in result.graph]
    assert not narrow_results.sites(result)
    sample = feeds_for(input_specs(model))
    for left, right in zip(run(model, sample), run(result, sample), strict=True):
        np.testing.assert_allclose(right, left, atol=1e-5 if precision == "float" else 0.005)


@pytest.mark.parametrize(
    "model",
    [
        network(9),
        network(size=65),
        network(size=32),
        network(strides=[2, 2], size=256),
        network(dilations=[2, 2], size=128),
    ],
    ids=["wide", "odd", "small", "strided", "dilated"],
)
def test_others_stay(model: ir.Model) -> None:
    assert narrow_results.sites(model) == ()


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.parametrize("behind", ["Sigmoid", "Relu"])
def test_blocks_are_faster_and_right_on_the_simulator(behind: str) -> None:
    device = find("qcs9075")
    model = network(1, 128, behind=behind)
    found = quantize(model, feeds(model, 2), Scheme()).model
    tried = Model(found, device, variants=Variants(tries=3))
    assert "narrow_results" in tried.form.rewrites
    assert tried.estimate().cycles < Model(found, device).estimate().cycles
    sample = feeds(model, 1)[0]
    (truth,) = CpuModel(model).run(sample).values()
    errors = []
    for form in (found, narrow_results.apply(found, narrow_results.sites(found))):
        ((simulated,),) = (list(out.values()) for out in Model(form, device).simulate([sample]))
        errors.append(float(np.mean((simulated - truth) ** 2)))
    assert errors[1] < 1.07 * errors[0]  # 0.3 dB
