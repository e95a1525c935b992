"""A picture that is enlarged by products has the values of one that is resized."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.judged import resize_by_products
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import build

MODES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
BEHIND = "y = Sigmoid(r)"


def network(
    mode: str = "half_pixel", behind: str = BEHIND, *, scale: int = 4, size: int = 6, out: str = ""
) -> ir.Model:
    """A Conv whose maps are enlarged, and what is behind."""
    channels = 3
    text = f"""(float[1,4,{size},{size + 1}] x, float[{channels},4,1,1] w)
        => (float[{out or f"1,{channels},{size * scale},{(size + 1) * scale}"}] y)
        <float[4] s = {{1, 1, {scale}, {scale}}}> {{ a = Conv(x, w)
        r = Resize <mode = "linear", coordinate_transformation_mode = "{mode}"> (a, , s)
        {behind} }}"""
    return prepare(build(text, 19), {}).model


def sample(model: ir.Model) -> dict[str, np.ndarray]:
    """Random inputs."""
    shape = model.graph.inputs[0].shape
    assert shape is not None
    return {"x": np.random.default_rng(1).standard_normal(shape.numpy()).astype(np.float32)}


def changed(model: ir.Model) -> ir.Model:
    """With all that can be a product as one."""
    names = resize_by_products.sites(model)
    assert len(names) == 1
    result = resize_by_products.apply(model, names)
    assert not any(node.op_type == "Resize" for node in result.graph)
    return result


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [2, 3])
def test_floats_are_the_same(mode: str, scale: int) -> None:
    model = network(mode, scale=scale)
    (before,) = CpuModel(model).run(sample(model)).values()
    (after,) = CpuModel(changed(model)).run(sample(model)).values()
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
@pytest.mark.parametrize("scale", [3, 4])
def test_codes_differ_by_what_two_steps_of_rounding_do(
    activations: ActivationType, scale: int
) -> None:
    model = network(behind="y = Identity(r)", scale=scale)
    found = quantize(model, [sample(model)], Scheme(activations=activations)).model
    (before,) = CpuModel(found).run(sample(model)).values()
    (after,) = CpuModel(changed(found)).run(sample(model)).values()
    step = np.ptp(before) / (2**activations.bits - 1)
    assert np.abs(after - before).max() <= 2.01 * step


def test_a_picture_that_layers_or_two_outputs_read_and_one_that_shrinks_stay() -> None:
    layer = network(
        behind="y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)", out="1,3,12,14"
    )
    assert resize_by_products.sites(layer) == ()
    text = """(float[1,4,8,8] x) => (float[1,4,4,4] y) <float[4] s = {1, 1, 0.5, 0.5}> {
        y = Resize <mode = "linear"> (x, , s) }"""
    assert resize_by_products.sites(prepare(build(text, 19), {}).model) == ()


@pytest.mark.npu
@pytest.mark.slow
def test_products_are_faster_and_right_on_the_simulator() -> None:
    device, model = find("qcs9075"), network(behind="y = Identity(r)", size=24)
    found = quantize(model, [sample(model)], Scheme(activations=ActivationType.UINT16)).model
    tried = Model(found, device, variants=Variants(tries=2))
    assert tried.form.rewrites == ("resize_by_products",)
    assert tried.estimate().cycles < 0.7 * Model(found, device).estimate().cycles
    (truth,) = CpuModel(model).run(sample(model)).values()
    errors = []
    for form in (found, changed(found)):
        ((given,),) = (list(out.values()) for out in Model(form, device).simulate([sample(model)]))
        errors.append(float(np.mean((given - truth) ** 2)))
    assert errors[1] < 1.07 * errors[0]  # 0.3 dB
