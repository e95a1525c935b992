"""What is written otherwise for fp16 computes the same."""

import numpy as np
import pytest

from snapq.graph.float16.order import BEHIND, ORDER
from snapq.graph.float16.run import write_for_float16
from snapq.graph.prepare import prepare
from snapq.graph.shapes import input_specs
from tests.graph.models import build, feeds_for, run

CASES = {
    "add_constant_first": "{ a = Tanh(x) b = Add(a, w) y = Mul(b, two) }",
    "limit_exponents": "{ y = Exp(x) }",
    "expand_softplus": "{ y = Softplus(x) }",
    "expand_softplus, of a Mish": "{ a = Softplus(x) b = Tanh(a) y = Mul(x, b) }",
    "shift_exponents": "{ a = LogSoftmax <axis = 1> (x) y = Add(a, w) }",
    "shift_exponents, of a sum": "{ y = ReduceLogSumExp <keepdims = 0> (x, axes) }",
    "split_small_factors": "{ y = Div(x, million) }",
    "split_small_factors, of a vector": "{ y = Mul(tiny, x) }",
    "scale_norms": "{ y = ReduceL2(x, axes) }",
    "scale_norms, without the axes": "{ y = ReduceL2 <keepdims = 0> (x, axes) }",
}

GRAPHS = {
    "average_bins_by_maps": "(float[1,32,24,24] x, float[1,16,1,1] w) => (float[1,2,576] y) "
    "<int64[4] s = {1, 2, 16, 576}, int64[3] t = {1, 2, 576}> { a = Reshape(x, s) "
    "b = Transpose <perm = [0, 2, 1, 3]> (a) c = Softmax <axis = 1> (b) d = Conv(c, w) "
    "y = Reshape(d, t) }",
    "average_bins_by_maps, of two maps with 17 bins and channels last": "(float[1,34,20,20] x, "
    "float[1,34,12,12] v, float[17,1] w) => (float[1,544,2] y) <int64[3] s = {1, -1, 34}, "
    "int64[2] r = {-1, 17}, int64[3] t = {1, 544, 2}> { a = Transpose <perm = [0, 2, 3, 1]> (x) "
    "b = Transpose <perm = [0, 2, 3, 1]> (v) c = Reshape(a, s) d = Reshape(b, s) "
    "e = Concat <axis = 1> (c, d) f = Reshape(e, r) g = Softmax <axis = 1> (f) h = MatMul(g, w) "
    "y = Reshape(h, t) }",
    "limit_tanh": "(float[1,8] x, float[4,8] w) => (float[1,4] y) {"
    "a = Gemm <transB = 1> (x, w) y = Tanh(a) }",
    "limit_tanh, of what is moved": "(float[1,8] x, float[4,8] w) => (float[2,2] y) "
    "<int64[2] s = {2, 2}> { a = Gemm <transB = 1> (x, w) b = Reshape(a, s) y = Tanh(b) }",
    "lower_averages, of wide windows": "(float[1,32,1,7] x) => (float[1,32,1,7] y) "
    "{ y = AveragePool <kernel_shape = [1, 7], pads = [0, 3, 0, 3]> (x) }",
    "lower_averages, without padding": "(float[1,3,7,9] x) => (float[1,3,3,4] y) { y = AveragePool "
    "<kernel_shape = [2, 3], strides = [2, 2]> (x) }",
    "lower_averages, with a stride of 4": "(float[1,40,13,9] x) => (float[1,40,4,3] y) { "
    "y = AveragePool <kernel_shape = [5, 5], strides = [4, 4], pads = [2, 2, 2, 2]> (x) }",
    "lower_averages, of 12 taps that leave part of the map": "(float[1,3,14,12] x) => "
    "(float[1,3,1,1] y) { y = AveragePool <kernel_shape = [12, 12], strides = [12, 12]> (x) }",
    "lower_averages, of 9 taps side by side": "(float[1,3,9,18] x) => (float[1,3,1,2] y) { "
    "y = AveragePool <kernel_shape = [9, 9], strides = [9, 9]> (x) }",
    "lower_averages": "(float[1,3,7,9] x) => (float[1,3,4,5] y) { y = AveragePool "
    "<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (x) }",
    "flatten_deep_products": "(float[1,2,3,4,5] x) => (float[6,4,5] y) <float c = {1.3}, "
    "int64[3] s = {6, 4, 5}> { a = Mul(x, c) y = Reshape(a, s) }",
    "split_wide_max_pools, with strides": "(float[1,2,9,8] x) => (float[1,2,5,5] y) "
    "{ y = MaxPool <kernel_shape = [6, 4], strides = [2, 2], pads = [3, 2, 2, 3]> (x) }",
    "repeat_softmax_factor": "(float[2,3] x) => (float[2,3] y) <float c = {-0.7}> {"
    "a = Div(x, c) y = Softmax <axis = -1> (a) }",
    "scale_scores": "(float[2,3] x) => (float[3,2] y) {"
    "a = Sigmoid(x) y = Transpose <perm = [1, 0]> (a) }",
    "scale_scores, of a large narrow map": "(float[1,2,80,128] x) => (float[1,2,80,128] y) "
    "{ y = Sigmoid(x) }",
    "scale_scores, of one row": "(float[1,1,700] x) => (float[1,700,1] y)"
    "<int64[3] s = {1, 700, 1}> { a = Sigmoid(x) y = Reshape(a, s) }",
    "limit_reshaped_rows": "(float[1,2,6] x, float[4,2,3] w) => (float[1,4,2,3] y)"
    "<int64[4] s = {1, 4, 2, 3}> { a = Conv <pads = [1, 1]> (x, w) y = Reshape(a, s) }",
    "limit_reshaped_rows, behind a Transpose": "(float[1,2,6] x, float[4,2,3] w) => "
    "(float[1,2,3,4] y) <int64[4] s = {1, 2, 3, 4}> { a = Conv <pads = [1, 1]> (x, w) "
    "b = Transpose <perm = [0, 2, 1]> (a) y = Reshape(b, s) }",
    "separate_reshaped_products": "(float[12,2] x, float[2,2] w) => (float[1,2,3,2,2] y)"
    "<int64[5] s = {1, 2, 3, 2, 2}> { a = MatMul(x, w) y = Reshape(a, s) }",
    "spread_signals": "(float[2,3,64] x, float[4,3,1] w, float[4] wb, float[4,4,1] v, float lo, "
    "float hi) => (float[2,4,64] y) { a = Conv(x, w, wb) b = Relu(a) c = Conv(b, v) "
    "d = LeakyRelu <alpha = 0.1> (c) y = Clip(d, lo, hi) }",
    "turn_reshaped_layers": "(float[1,3,4,2] x, float[12,8] w, float[12] wb) => "
    "(float[1,3,4,3] y) <int64[2] r = {3, 8}, int64[4] s = {1, 3, 4, 3}> { a = Reshape(x, r) "
    "b = Gemm <transB = 1> (a, w, wb) y = Reshape(b, s) }",
    "double_single_channel": "(float[2,1,9,8] x, float[1,1,3,2] w, float[1] wb) => "
    "(float[2,1,3,8] y) { y = Conv <pads = [0, 0, 0, 1], strides = [3, 1]> (x, w, wb) }",
    "double_single_channel, of computed weights": "(float[1,1,9] x, float[1,1,3] k) => "
    "(float[1,1,2] y) { a = Relu(k) y = Conv <strides = [5]> (x, a) }",
    "widen_strided_depthwise_conv": "(float[1,48,6,7] x, float[48,1,1,1] w) => "
    "(float[1,48,2,7] y) "
    "{ y = Conv <strides = [3, 1], group = 48> (x, w) }",
    "widen_strided_depthwise_conv, of strides of 4": "(float[1,40,9,8] x, float[40,1,3,3] w) => "
    "(float[1,40,3,2] y) { y = Conv <strides = [4, 4], pads = [1, 1, 1, 1], group = 40> (x, w) }",
    "split_odd_channels": "(float[1,257,5] x, float[257,1,3] w, float[257] wb) => "
    "(float[1,257,5] y) { y = Conv <group = 257, pads = [1, 1]> (x, w, wb) }",
    "split_strided_batches": "(float[3,4,9,8] x, float[4,1,3,3] w, float[4] wb) => "
    "(float[3,4,5,3] y) { y = Conv <group = 4, pads = [1, 1, 1, 0], strides = [2, 3]> (x, w, wb) }",
    "split_wide_max_pools": "(float[1,4,8,6] x) => (float[1,4,8,6] y) { y = MaxPool "
    "<kernel_shape = [13, 13], pads = [6, 6, 6, 6]> (x) }",
    "split_wide_max_pools, of even windows and uneven padding": "(float[1,4,5,3] x) => "
    "(float[1,4,4,5] y) { y = MaxPool <kernel_shape = [6, 3], pads = [4, 2, 0, 2]> (x) }",
    "split_wide_max_pools, with padding in front": "(float[1,4,8,7] x) => (float[1,4,4,4] y) "
    "{ y = MaxPool <kernel_shape = [2, 2], pads = [0, 1, 0, 1], strides = [2, 2]> (x) }",
    "split_wide_max_pools, of one column": "(float[1,4,8,7] x) => (float[1,4,7,4] y) "
    "{ y = MaxPool <kernel_shape = [3, 1], pads = [1, 0, 0, 0], strides = [1, 2]> (x) }",
    "split_wide_max_pools, of one axis": "(float[1,4,5] x) => (float[1,4,7] y) "
    "{ y = MaxPool <kernel_shape = [8], pads = [7, 2]> (x) }",
    "widen_added_number": "(float[1,9,4,5] x) => (float[1,9,4,5] y)"
    "<float c = {0.5}, float l = {0.1}, float h = {0.8}> { a = Add(c, x) y = Clip(a, l, h) }",
    "widen_added_number, of a gate": "(float[1,12,4,5] x) => (float[1,12,4,5] y)"
    "{ y = HardSigmoid <alpha = 0.3> (x) }",
    "complete_group_norms": "(float[1,6,4,5] x, float[6,6,1,1] w) => (float[1,6,20] y) "
    "<int64[3] s = {1, 2, -1}, int64[3] t = {1, 6, 20}, float[2] one = {1, 1}, "
    "float[2] none = {0, 0}> { a = Conv(x, w) b = Reshape(a, s) "
    "c = InstanceNormalization(b, one, none) y = Reshape(c, t) }",
    "widen_short_rows": "(float[1,2,16] x, float[3,2,7] w) => (float[1,3,16] y)"
    "{ y = Conv <pads = [3, 3]> (x, w) }",
}
LEFT = {
    "a group norm that has a factor and a summand": "(float[1,6,4,5] x, float[6,6,1,1] w, "
    "float[6,1,1] w1, float[6,1,1] w2) => (float[1,6,4,5] y) "
    "<int64[3] s = {1, 2, -1}, int64[4] t = {1, 6, 4, 5}, float[2] one = {1, 1}, "
    "float[2] none = {0, 0}> { a = Conv(x, w) b = Reshape(a, s) "
    "c = InstanceNormalization(b, one, none) d = Reshape(c, t) e = Mul(d, w1) y = Add(w2, e) }",
    "a Tanh of a sum": "(float[1,8] x, float[8] w) => (float[1,8] y) { a = Add(x, w) y = Tanh(a) }",
    "one distribution, and several over few places": "(float[1,16,24,24] x, float[1,16,1,1] w, "
    "float[1,32,20,20] v) => (float[1,1,24,24] y, float[1,1,2,400] z) <int64[4] s = "
    "{1, 2, 16, 400}> { a = Softmax <axis = 1> (x) y = Conv(a, w) b = Reshape(v, s) "
    "c = Transpose <perm = [0, 2, 1, 3]> (b) d = Softmax <axis = 1> (c) z = Conv(d, w) }",
    "distributions that are read by themselves, too": "(float[1,32,24,24] x, float[1,16,1,1] w) "
    "=> (float[1,1,2,576] y, float[1,16,2,576] c) <int64[4] s = {1, 2, 16, 576}> "
    "{ a = Reshape(x, s) b = Transpose <perm = [0, 2, 1, 3]> (a) c = Softmax <axis = 1> (b) "
    "y = Conv(c, w) }",
    "many channels": "(float[1,32,7,9] x) => (float[1,32,7,9] y) { y = AveragePool "
    "<kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x) }",
    "a Tanh of what is moved": "(float[2,8] x) => (float[8,2] y) {"
    "a = Transpose <perm = [1, 0]> (x) y = Tanh(a) }",
    "a window of the map": "(float[1,4,9,9] x) => (float[1,4,9,9] y) { y = MaxPool "
    "<kernel_shape = [9, 9], pads = [4, 4, 4, 4]> (x) }",
    "wide windows with a stride": "(float[1,4,5,5] x) => (float[1,4,3,3] y) { y = MaxPool "
    "<kernel_shape = [9, 9], pads = [4, 4, 4, 4], strides = [2, 2]> (x) }",
    "two samples, dense layers, and layers without a stride": "(float[2,4,9,8] x, float[3,4,9,8] "
    "z, float[4,1,3,3] w, float[4,4,3,3] wd) => (float[2,4,4,3] y, float[3,4,4,3] u, "
    "float[3,4,7,6] v) { y = Conv <group = 4, strides = [2, 2]> (x, w) "
    "u = Conv <strides = [2, 2]> (z, wd) v = Conv <group = 4> (z, w) }",
    "one channel with small strides or many taps, and a volume": "(float[1,1,20,20] x, "
    "float[1,1,9,9,9] z, float[1,1,3,3] w, float[1,1,9,1] wt, float[1,1,3,3,3] wv) => "
    "(float[1,1,9,9] y, float[1,1,4,7] u, float[1,1,3,3,3] v) { y = Conv <strides = [2, 2]> (x, w) "
    "u = Conv <strides = [3, 3]> (x, wt) v = Conv <strides = [3, 3, 3]> (z, wv) }",
    "other strided depthwise layers": "(float[1,48,13,12] x, float[1,31,9,12] z, "
    "float[48,1,1,1] w, float[48,1,8,9] w1, float[31,1,3,3] w2) => (float[1,48,7,6] y, "
    "float[1,48,3,2] u, float[1,31,2,3] v) { y = Conv <strides = [2, 2], group = 48> (x, w) "
    "u = Conv <strides = [2, 2], group = 48> (x, w1) "
    "v = Conv <strides = [4, 4], group = 31> (z, w2) }",
    "windows side by side, and one over the map": "(float[1,3,7,9] x) => (float[1,3,3,3] y, "
    "float[1,3,1,1] z) { y = AveragePool <kernel_shape = [2, 3], strides = [2, 3]> (x) "
    "z = AveragePool <kernel_shape = [7, 9]> (x) }",
    "longer windows that fill the map": "(float[1,3,20,30] x) => (float[1,3,2,3] y) { "
    "y = AveragePool <kernel_shape = [10, 10], strides = [10, 10]> (x) }",
    "a positive factor": "(float[2,3] x) => (float[2,3] y) <float c = {0.7}> {"
    "a = Mul(x, c) y = Softmax <axis = -1> (a) }",
    "a gate inside of a model": "(float[2,3] x) => (float[2,3] y) {"
    "a = Sigmoid(x) b = Sin(a) y = Mul(b, x) }",
    "256 and 259 channels": "(float[1,256,5] x, float[1,259,5] z, float[256,1,3] w, "
    "float[259,1,3] wz) => (float[1,256,3] y, float[1,259,3] v)"
    "{ y = Conv <group = 256> (x, w) v = Conv <group = 259> (z, wz) }",
    "a Sigmoid of many scores": "(float[1,40,2000] x) => (float[1,40,2000] y) { y = Sigmoid(x) }",
    "16 channels": "(float[1,16,4,5] x) => (float[1,16,4,5] y) { y = HardSigmoid(x) }",
    "a row that is no multiple of 8, and one of few taps": "(float[1,2,15] x, float[1,2,16] z, "
    "float[3,2,7] w, float[3,2,5] wz) => (float[1,3,15] y, float[1,3,16] v)"
    "{ y = Conv <pads = [3, 3]> (x, w) v = Conv <pads = [2, 2]> (z, wz) }",
}


def model_of(body):
    rank = "[2,4]" if "keepdims" in body else "[2,5,4]" if "axes" not in body else "[2,1,4]"
    constants = (
        "<float two = {2.0}, int64[1] axes = {1}, float million = {1000000.0},"
        " float[4] tiny = {0.00001, 1.0, -0.5, 0.0}>"
    )
    text = f"(float[2,5,4] x, float[4] w) => (float{rank} y) {constants} {body}"
    return prepare(build(text, 18), {})


def prepared(case):
    if case in CASES:
        return model_of(CASES[case])
    return prepare(build(GRAPHS[case] if case in GRAPHS else LEFT[case], 18), {})


@pytest.mark.parametrize("case", [*CASES, *GRAPHS])
def test_it_is_written_otherwise_once_and_computes_the_same(case):
    model = prepared(case).model
    feeds = feeds_for(input_specs(model))
    (before,) = run(model, feeds)
    assert write_for_float16(model) == {case.partition(",")[0]: 1}
    (after,) = run(model, feeds)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=5e-5)


def test_each_pass_has_a_case_and_a_reason():
    names = {module.__name__.rpartition(".")[2] for module, _ in (*ORDER, *BEHIND)}
    assert names == {case.partition(",")[0] for case in (*CASES, *GRAPHS)}
    assert all(reason for _, reason in (*ORDER, *BEHIND))


@pytest.mark.parametrize("case", LEFT)
def test_what_is_right_already_is_left_alone(case):
    assert not write_for_float16(prepared(case).model)


def test_a_limited_exponent_and_a_sum_of_one_number_are_left_alone():
    body = "{ low = Neg(two) a = Clip(x, low, two) b = Exp(a) c = Add(b, two) y = Mul(c, two) }"
    assert not write_for_float16(model_of(body).model)


def test_layers_of_signals_one_behind_the_other_stay_in_rows():
    model = prepare(
        build(
            """(float[1,3,64] x, float[4,3,1] w, float[4,4,1] w1) => (float[1,4,64] y) {
            a = Conv(x, w) b = Relu(a) c = Conv(b, w1) y = Relu(c) }"""
        ),
        {},
    ).model
    assert write_for_float16(model) == {"spread_signals": 2}
    operators = [node.op_type for node in model.graph]
    assert operators == ["Reshape", "Conv", "Relu", "Conv", "Relu", "Reshape"]


def test_low_scores_of_a_signal_are_kept_where_its_layers_are_laid_out_in_rows():
    model = prepare(
        build(
            """(float[1,3,640] x, float[4,3,1] w, float[1,4,1] w1) => (float[1,1,640] y) {
            a = Conv(x, w) b = Relu(a) c = Conv(b, w1) y = Sigmoid(c) }"""
        ),
        {},
    ).model
    assert write_for_float16(model) == {"scale_scores": 1, "spread_signals": 1}


def test_only_the_nodes_that_are_named_are_written_otherwise():
    model = model_of("{ a = Exp(x) b = Neg(a) y = Exp(b) }").model
    last = [node for node in model.graph if node.op_type == "Exp"][1]
    last.metadata_props["kept"] = "float"
    write_for_float16(model, [last])
    operators = [node.op_type for node in model.graph]
    assert operators == ["Exp", "Neg", "Clip", "Exp"]
    assert [node.metadata_props.get("kept") for node in model.graph] == [None, None, *["float"] * 2]
