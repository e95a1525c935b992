"""What is written otherwise for fp16 computes the same."""

import numpy as np
import pytest

from snapq.graph.float16.order import ORDER
from snapq.graph.float16.run import write_for_float16
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from tests.graph.models import build, feeds_for, run

CASES = {
    "add_constant_first": "{ a = Tanh(x) b = Add(a, w) y = Mul(b, two) }",
    "limit_exponents": "{ y = Exp(x) }",
    "expand_softplus": "{ y = Softplus(x) }",
    "shift_exponents": "{ a = LogSoftmax <axis = 1> (x) y = Add(a, w) }",
    "shift_exponents, of a sum": "{ y = ReduceLogSumExp <keepdims = 0> (x, axes) }",
    "scale_norms": "{ y = ReduceL2(x, axes) }",
    "scale_norms, without the axes": "{ y = ReduceL2 <keepdims = 0> (x, axes) }",
}


def model_of(body):
    rank = "[2,4]" if "keepdims" in body else "[2,5,4]" if "axes" not in body else "[2,1,4]"
    constants = "<float two = {2.0}, int64[1] axes = {1}>"
    text = f"(float[2,5,4] x, float[4] w) => (float{rank} y) {constants} {body}"
    return prepare(build(text, 18), {})


@pytest.mark.parametrize("case", CASES)
def test_it_is_written_otherwise_once_and_computes_the_same(case):
    model = model_of(CASES[case]).model
    feeds = feeds_for(input_specs(model))
    (before,) = run(model, feeds)
    assert write_for_float16(model) == {case.partition(",")[0]: 1}
    (after,) = run(model, feeds)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=5e-5)


def test_each_pass_has_a_case_and_a_reason():
    names = {module.__name__.rpartition(".")[2] for module, _ in ORDER}
    assert names == {case.partition(",")[0] for case in CASES}
    assert all(reason for _, reason in ORDER)


def test_a_limited_exponent_and_a_sum_of_one_number_are_left_alone():
    body = "{ low = Neg(two) a = Clip(x, low, two) b = Exp(a) c = Add(b, two) y = Mul(c, two) }"
    assert not write_for_float16(model_of(body).model)


def test_only_the_nodes_that_are_named_are_written_otherwise():
    model = model_of("{ a = Exp(x) b = Neg(a) y = Exp(b) }").model
    last = [node for node in model.graph if node.op_type == "Exp"][1]
    last.metadata_props["kept"] = "float"
    write_for_float16(model, [last])
    operators = [node.op_type for node in model.graph]
    assert operators == ["Exp", "Neg", "Clip", "Exp"]
    assert [node.metadata_props.get("kept") for node in model.graph] == [None, None, *["float"] * 2]
