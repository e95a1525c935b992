"""Freezing: what the YAML says of shapes holds, and what it leaves open is named."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph.cost import total_macs
from snapq.graph.shapes import TensorSpec, freeze, input_specs, static_shape
from tests.graph.models import assert_same_results, build

CONV = "(float[N,3,H,W] image, float[4,3,3,3] w) => (float[A,B,C,D] y) { y = Conv(image, w) }"
TWO = """(float[batch,8] x, float[batch,steps,4] state, int64 rate) => (float[P,8] y, float[Q] z) {
    f = Cast <to = 1> (rate) y = Div(x, f) s = Constant <value_ints = [-1]> ()
    z = Reshape(state, s) }"""


def test_given_shapes_override_false_declared_ones_and_stale_values() -> None:
    model = build(
        "(float[10,3,32,32] x, float[4,3,3,3] w) => (float[10,4,30,30] y) { a = Relu(x) "
        "y = Conv(a, w) }"
    )
    for node in model.graph:
        node.outputs[0].shape = ir.Shape([10, 3, 32, 32])
    frozen = freeze(model, {"x": [1, 3, 48, 64]})
    assert input_specs(frozen)[0].shape == (1, 3, 48, 64)
    assert static_shape(frozen.graph.outputs[0]) == (1, 4, 46, 62)
    assert static_shape(model.graph.inputs[0]) == (10, 3, 32, 32), "the model itself stays"


def test_dynamic_dimensions_are_named_with_what_to_write() -> None:
    with pytest.raises(ModelError) as caught:
        input_specs(build(CONV))
    assert "dimension 0 ('N'), dimension 2 ('H'), dimension 3 ('W')" in str(caught.value)
    assert "inputs: {image: [1, 3, ?, ?]}" in str(caught.value)
    assert "with a number for each `?`, or give --input image=1,3,?,? where" in str(caught.value)


@pytest.mark.parametrize("unknown", [-1, 0])
def test_minus_one_and_zero_mean_dynamic(unknown: int) -> None:
    model = build(CONV)
    model.graph.inputs[0].shape = ir.Shape([unknown, 3, 8, 8])
    with pytest.raises(ModelError, match="dimension 0"):
        freeze(model, {})


def test_an_unknown_input_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ModelError, match=r"no input 'imge'.*Did you mean 'image'"):
        freeze(build(CONV), {"imge": [1, 3, 8, 8]})


def test_another_rank_is_refused() -> None:
    with pytest.raises(ModelError, match=r"4 dimensions .* and 3 are given"):
        freeze(build(CONV), {"image": [3, 8, 8]})


def test_a_size_given_once_holds_for_every_input_of_that_name() -> None:
    frozen = freeze(build(TWO), {"x": [2, 8], "state": [2, 5, 4]})
    assert [spec.shape for spec in input_specs(frozen)] == [(2, 8), (2, 5, 4), ()]
    with pytest.raises(ModelError, match=r"input 'state' \[2, steps, 4\], dimension 1"):
        freeze(build(TWO), {"x": [2, 8]})


def test_an_input_given_a_number_becomes_a_constant() -> None:
    frozen = freeze(build(TWO), {"x": [2, 8], "state": [2, 5, 4], "rate": 16000})
    assert [spec.name for spec in input_specs(frozen)] == ["x", "state"]
    value = frozen.graph.initializers["rate"].const_value
    assert value is not None
    assert value.numpy() == 16000
    assert value.dtype == ir.DataType.INT64
    with pytest.raises(ModelError, match=r"'x' .* is not one number"):
        freeze(build(TWO), {"x": 3})


def test_specs_tell_name_type_and_shape() -> None:
    (spec,) = input_specs(build("(float16[2,3] x) => (float16[2,3] y) { y = Relu(x) }"))
    assert (spec.name, spec.dtype.name, spec.shape) == ("x", "float16", (2, 3))
    assert isinstance(spec, TensorSpec)


def test_text_inputs_are_refused() -> None:
    model = build("(string[2] x) => (string[2] y) { y = Identity(x) }")
    with pytest.raises(ModelError, match="only tensors of numbers"):
        input_specs(model)


def test_freezing_keeps_what_the_model_computes() -> None:
    model = build(CONV)
    frozen = freeze(model, {"image": [1, 3, 8, 8]})
    assert_same_results(model, frozen, tolerance=0)


def test_one_number_in_a_list_fixes_an_input_without_dimensions() -> None:
    frozen = freeze(build(TWO), {"x": [2, 8], "state": [2, 5, 4], "rate": [16000]})
    assert [spec.name for spec in input_specs(frozen)] == ["x", "state"]


def test_what_depends_on_an_open_dimension_costs_nothing_rather_than_less() -> None:
    model = build("(float[2,3,8,8] image) => (float[2,3,8,8] y) { y = Relu(image) }")
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.shape = ir.Shape([-1, 3, 8, 8])
    assert static_shape(model.graph.inputs[0]) is None
    assert total_macs(model) == 0
