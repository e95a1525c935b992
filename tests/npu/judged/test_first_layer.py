"""A first layer gives what it gave, over blocks of pixels and behind a Conv that normalizes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.shapes import freeze, input_specs
from snapq.npu.judged import first_layer
from snapq.npu.model import Model, Variants
from snapq.precision import ActivationType, WeightType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize
from tests.graph.models import build, feeds_for, run
from tests.quantization.odd_models import Builder, feeds


def network(
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    pads: list[int],
    *,
    around: float | None = None,
    channels: int = 3,
    front: tuple[str, ...] = (),
) -> ir.Model:
    """A Conv with a stride, over a picture that has pixels of one value `around` it or none.

    Operators in `front` have a number for each channel, a Conv there mixes the channels of a pixel.
    """
    make = Builder()
    x = make.feed("x", 1, channels, *sizes)
    for op_type in front:
        if op_type == "Conv":
            x = make.add("Conv", x, make.normal(channels, channels, 1, 1), make.normal(channels))
            continue
        x = make.add(op_type, x, np.linspace(0.3, -0.8, channels, dtype=np.float32)[:, None, None])
    if around is not None:
        value = make.constant(np.float32(around))
        x = make.add("Pad", x, make.constant(np.array([0, 0, 1, 1, 0, 0, 2, 1])), value)
    weight, bias = make.normal(5, channels, *kernel), make.normal(5)
    x = make.add("Conv", x, weight, bias, strides=[stride] * 2, pads=pads)
    return make.model(make.add("Conv", make.add("Relu", x), make.normal(4, 5, 1, 1)))


def changed(model: ir.Model) -> ir.Model:
    """With another form of the first layer."""
    names = first_layer.sites(model)
    assert len(names) == 1
    result = first_layer.apply(model, names)
    assert first_layer.sites(result) == ()
    return result


@settings(max_examples=60)
@given(
    st.tuples(st.integers(5, 14), st.integers(5, 14)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.sampled_from([None, 0.0, 0.7]),
    st.sampled_from([(), ("Sub",), ("Mul", "Add"), ("Add", "Div"), ("Conv",), ("Sub", "Conv")]),
    st.sampled_from(["float", "w8a8", "w4a16"]),
)
def test_the_outputs_stay_the_same(
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    pads: list[int],
    around: float | None,
    front: tuple[str, ...],
    precision: str,
) -> None:
    model = network(sizes, kernel, stride, pads, around=around, front=front)
    if precision != "float":
        four = precision == "w4a16"
        scheme = Scheme(
            weights=WeightType.INT4 if four else WeightType.INT8,
            activations=ActivationType.UINT16 if four else ActivationType.UINT8,
        )
        model = quantize(model, feeds(model, 2), scheme).model
    assume(first_layer.sites(model))
    sample = feeds_for(input_specs(model))
    for left, right in zip(run(model, sample), run(changed(model), sample), strict=True):
        # A sum that is rounded as a Conv rounds may come out a step away, and is multiplied then.
        share = {"float": 1e-5, "w8a8": 0.1 if front else 0.01, "w4a16": 0.1 if front else 1e-4}
        most = share[precision] * max(1.0, float(np.ptp(left)))
        np.testing.assert_allclose(right, left, atol=most)


@pytest.mark.parametrize(("around", "kinds"), [(0.0, []), (0.7, [[1, 12, 8, 7]])])
def test_a_pad_is_taken_in_or_made_of_blocks(around: float, kinds: list[list[int]]) -> None:
    model = network((12, 12), (3, 3), 2, [0] * 4, around=around, front=("Sub",))
    made = changed(model).graph
    pads = [node.outputs[0].shape for node in made if node.op_type == "Pad"]
    assert [list(shape or ()) for shape in pads] == kinds
    assert not any(node.op_type == "Sub" for node in made)


def test_blocks_are_of_codes_of_8_bits_where_pixels_come_as_such() -> None:
    text = """(uint8[1,8,8,3] p, float[5,3,3,3] w) => (float[1,5,4,4] y)
        <float s = {0.01}, uint8 z = {3}, float t = {0.001}, uint16 o = {30}> {
        a = DequantizeLinear(p, s, z)
        b = Transpose <perm = [0, 3, 1, 2]> (a)
        c = QuantizeLinear(b, t, o)
        d = DequantizeLinear(c, t, o)
        y = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (d, w) }"""
    model = freeze(build(text, 21), {})
    result = changed(model)
    (blocks,) = (node for node in result.graph if node.op_type == "SpaceToDepth")
    (kept,) = (use.node for use in blocks.outputs[0].uses())
    assert kept.outputs[0].dtype == ir.DataType.UINT8
    sample = feeds_for(input_specs(model))
    for left, right in zip(run(model, sample), run(result, sample), strict=True):
        np.testing.assert_allclose(right, left, atol=1e-5)


@pytest.mark.parametrize(("channels", "stride"), [(16, 2), (3, 1)])
def test_layers_of_many_channels_or_with_nothing_to_change_stay(channels: int, stride: int) -> None:
    model = network((12, 12), (3, 3), stride, [1] * 4, channels=channels)
    assert first_layer.sites(model) == ()


@pytest.mark.parametrize("quantized", [False, True])
def test_a_normalization_that_no_layer_reads_is_one(quantized: bool) -> None:
    make = Builder()
    x = make.add("Sub", make.feed("x", 1, 3, 32, 40), np.ones((3, 1, 1), np.float32) * 0.4)
    both = make.add("Concat", x, make.feed("z", 1, 3, 32, 40), axis=0)
    model = make.model(make.add("Conv", both, make.normal(4, 3, 1, 1)))
    if quantized:
        model = quantize(model, feeds(model, 2), Scheme()).model
    result = changed(model)
    assert not any(node.op_type == "Sub" for node in result.graph)
    sample = feeds_for(input_specs(model))
    for left, right in zip(run(model, sample), run(result, sample), strict=True):
        most = 0.02 * float(np.ptp(left)) if quantized else 1e-5
        np.testing.assert_allclose(right, left, atol=most)


def test_a_kernel_that_reads_behind_half_a_block_reads_zeros_there() -> None:
    assert first_layer.sites(network((13, 13), (3, 3), 2, [1] * 4))
    assert first_layer.sites(network((13, 13), (3, 3), 2, [1] * 4, front=("Sub",))) == ()
    assert first_layer.sites(network((13, 13), (3, 3), 2, [0] * 4, front=("Sub",)))


@pytest.mark.npu
@pytest.mark.slow
@pytest.mark.parametrize("front", ["Sub", "Conv"])
def test_blocks_are_faster_and_right_on_the_simulator(front: str) -> None:
    device, model = find("qcs9075"), network((96, 96), (7, 7), 2, [3] * 4, front=(front,))
    found = quantize(model, feeds(model, 2), Scheme(activations=ActivationType.UINT16)).model
    tried = Model(found, device, variants=Variants(tries=2))
    assert tried.form.rewrites == ("first_layer",)
    assert tried.estimate().cycles < 0.8 * Model(found, device).estimate().cycles
    sample = feeds(model, 1)[0]
    (truth,) = CpuModel(model).run(sample).values()
    errors = []
    for form in (found, changed(found)):
        ((simulated,),) = (list(out.values()) for out in Model(form, device).simulate([sample]))
        errors.append(float(np.mean((simulated - truth) ** 2)))
    assert errors[1] < 1.07 * errors[0]  # 0.3 dB
