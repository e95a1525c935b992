"""A first layer over blocks of pixels gives what it gave over single ones."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.shapes import input_specs
from snapq.npu.judged import space_to_depth_stem
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType, WeightType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import feeds_for, run
from tests.quantization.odd_models import Builder, feeds


def network(
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    pads: list[int],
    *,
    around: float | None = None,
    channels: int = 3,
) -> ir.Model:
    """A Conv with a stride, over a picture that has pixels of one value `around` it or none."""
    build = Builder()
    x = build.feed("x", 1, channels, *sizes)
    if around is not None:
        value = build.constant(np.float32(around))
        x = build.add("Pad", x, build.constant(np.array([0, 0, 1, 1, 0, 0, 2, 1])), value)
    weight, bias = build.normal(5, channels, *kernel), build.normal(5)
    x = build.add("Conv", x, weight, bias, strides=[stride] * 2, pads=pads)
    return build.model(build.add("Conv", build.add("Relu", x), build.normal(4, 5, 1, 1)))


def changed(model: ir.Model) -> ir.Model:
    """With the first layer over blocks."""
    names = space_to_depth_stem.sites(model)
    assert len(names) == 1
    result = space_to_depth_stem.apply(model, names)
    assert space_to_depth_stem.sites(result) == ()
    return result


@settings(max_examples=60)
@given(
    st.tuples(st.integers(5, 14), st.integers(5, 14)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.integers(2, 4),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from([None, 0.0, 0.7]),
    st.sampled_from(["float", "w8a8", "w4a16"]),
)
def test_the_outputs_stay_the_same(
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    pads: list[int],
    around: float | None,
    precision: str,
) -> None:
    model = network(sizes, kernel, stride, pads, around=around)
    if precision != "float":
        four = precision == "w4a16"
        scheme = Scheme(
            weights=WeightType.INT4 if four else WeightType.INT8,
            activations=ActivationType.UINT16 if four else ActivationType.UINT8,
        )
        model = quantize(model, feeds(model, 2), scheme).model
    assume(space_to_depth_stem.sites(model))
    sample = feeds_for(input_specs(model))
    for left, right in zip(run(model, sample), run(changed(model), sample), strict=True):
        np.testing.assert_allclose(right, left, atol=0 if precision != "float" else 1e-5)


def test_the_pad_of_a_picture_gets_longer_instead_of_another_one() -> None:
    model = network((12, 13), (3, 3), 2, [0] * 4, around=0.7)
    (pad,) = (node for node in changed(model).graph if node.op_type == "Pad")
    assert list(pad.outputs[0].shape or ()) == [1, 3, 16, 16]


@pytest.mark.parametrize(("channels", "stride"), [(16, 2), (3, 1)])
def test_layers_of_many_channels_or_without_a_stride_stay(channels: int, stride: int) -> None:
    model = network((12, 12), (3, 3), stride, [1] * 4, channels=channels)
    assert space_to_depth_stem.sites(model) == ()


def test_a_kernel_that_reads_zeros_behind_half_a_block_stays() -> None:
    assert space_to_depth_stem.sites(network((13, 13), (3, 3), 2, [1] * 4)) == ()
    assert space_to_depth_stem.sites(network((13, 13), (3, 3), 2, [0] * 4))


@pytest.mark.npu
@pytest.mark.slow
def test_blocks_are_faster_and_right_on_the_simulator() -> None:
    device, model = find("qcs9075"), network((96, 96), (7, 7), 2, [3] * 4)
    found = quantize(model, feeds(model, 2), Scheme(activations=ActivationType.UINT16)).model
    tried = Model(found, device, variants=Variants(tries=2))
    assert tried.form.rewrites == ("space_to_depth_stem",)
    assert tried.estimate().cycles < 0.8 * Model(found, device).estimate().cycles
    sample = feeds(model, 1)[0]
    (truth,) = CpuModel(model).run(sample).values()
    errors = []
    for form in (found, changed(found)):
        ((simulated,),) = (list(out.values()) for out in Model(form, device).simulate([sample]))
        errors.append(float(np.mean((simulated - truth) ** 2)))
    assert errors[1] < 1.07 * errors[0]  # 0.3 dB
