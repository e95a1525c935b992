"""Passes that remove, merge, and bring operators into one canonical form."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
    Case(
        "canonical_gemm",
        "a Gemm with factors and turned operands",
        """(float[8,2] x, float[8,5] w, float[1,5] w1) => (float[2,5] y) {
            y = Gemm <alpha = 0.5, beta = 2.0, transA = 1> (x, w, w1) }""",
        "Transpose Gemm",
    ),
    Case(
        "expand_constant_powers",
        "powers",
        """(float[2,8] x) => (float[2,8] y) {
            two = Constant <value_float = 2.0> () half = Constant <value_float = 0.5> ()
            a = Pow(x, two) y = Pow(a, half) }""",
        "Mul Sqrt",
    ),
    Case(
        "merge_constants",
        "products by constants in a row",
        """(float[2,8] x) => (float[2,8] y) {
            a = Constant <value_float = 3.0> () b = Constant <value_float = 0.5> ()
            c = Sin(x) d = Mul(c, a) e = Div(d, b) f = Cos(e) y = Relu(f) }""",
        "Sin Mul Cos Relu",
    ),
    Case(
        "merge_pad",
        "padding in front of a convolution",
        """(float[1,4,6,6] x, float[8,4,3,3] w) => (float[1,8,8,8] y) {
            p = Constant <value_ints = [0,0,1,2,0,0,1,0]> ()
            a = Pad(x, p) y = Conv <pads = [1,0,1,2]> (a, w) }""",
        "Conv",
    ),
    Case(
        "merge_pad",
        "padding with zeros in front of a maximum stays where the input may be negative",
        """(float[1,4,6,6] x) => (float[1,4,4,4] y) {
            p = Constant <value_ints = [0,0,1,1,0,0,1,1]> ()
            a = Pad(x, p) y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a) }""",
        "Pad MaxPool",
        applies=False,
    ),
    Case(
        "merge_transposes",
        "two transposes that cancel go",
        """(float[2,3,4] x) => (float[2,3,4] y) {
            a = Transpose <perm = [2,0,1]> (x) b = Transpose <perm = [1,2,0]> (a) y = Relu(b) }""",
        "Relu",
    ),
    Case(
        "remove_nan_check_after_softmax",
        "attention without a mask, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            q = MatMul(x, w) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Softmax",
    ),
    Case(
        "remove_nan_check_after_softmax",
        "attention with a constant mask that leaves something, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            b = Constant <value = bool[4] {1, 1, 0, 1}> () z = Constant <value_float = 0.0> ()
            m = Constant <value_float = -inf> () k = Where(b, z, m) p = MatMul(x, w)
            q = Add(p, k) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Add Softmax",
    ),
    Case(
        "remove_nan_check_after_softmax",
        "attention with a constant mask that leaves nothing, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            b = Constant <value = bool[3, 1] {1, 0, 1}> () z = Constant <value_float = 0.0> ()
            m = Constant <value_float = -inf> () k = Where(b, z, m) p = MatMul(x, w)
            q = Add(p, k) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Add Softmax IsNaN Where",
        applies=False,
    ),
    Case(
        "remove_empty_parts",
        "a Split with an empty part that nothing reads",
        """(float[1,8,4] x) => (float[1,5,4] y, float[1,3,4] z) {
            n = Constant <value_ints = [5, 0, 3]> () a, b, c = Split <axis = -2> (x, n)
            y = Relu(a) z = Sin(c) }""",
        "Split Relu Sin",
    ),
    Case(
        "remove_empty_parts",
        "a Split with one part that has elements, which is an output",
        """(float[1,8,4] x) => (float[1,8,4] y) {
            n = Constant <value_ints = [0, 8]> () a = Relu(x) b, y = Split <axis = 1> (a, n) }""",
        "Relu",
    ),
    Case(
        "remove_empty_parts",
        "a Split whose empty part is joined again",
        """(float[1,8,4] x) => (float[1,16,4] y) {
            n = Constant <value_ints = [8, 0]> () a, b = Split <axis = 1> (x, n)
            c = Sin(x) y = Concat <axis = 1> (c, b, a) }""",
        "Sin Concat",
    ),
    Case(
        "remove_empty_parts",
        "a Split whose empty part is an output stays",
        """(float[1,8,4] x) => (float[1,8,4] y, float[1,0,4] b) {
            n = Constant <value_ints = [8, 0]> () y, b = Split <axis = 1> (x, n) }""",
        "Split",
        applies=False,
    ),
    Case(
        "remove_no_ops",
        "dropout, identities and reshapes in a row go",
        """(float[2,3,4] x) => (float[6,4] y) {
            s = Constant <value_ints = [-1, 2]> () t = Constant <value_ints = [6, 4]> ()
            a = Identity(x) b = Dropout(a) c = Reshape(b, s) d = Reshape(c, t)
            zero = Constant <value_float = 0.0> () y = Add(d, zero) }""",
        "Reshape",
    ),
    Case(
        "remove_no_ops",
        "all rows in their order; not some, nor in another one",
        """(float[3,2] x) => (float[3,2] y, float[2,2] z)
            <int64[3] i = {0, 1, 2}, int64[3] j = {0, 2, 1}, int64[2] k = {0, 1}> {
            a = Gather (x, i) y = Gather (a, j) z = Gather (a, k) }""",
        "Gather Gather",
    ),
    Case(
        "remove_sequences",
        "a sequence of tensors",
        """(float[2,3] x) => (float[4,3] y) {
            a = Relu(x) s = SequenceConstruct(x, a) y = ConcatFromSequence <axis = 0> (s) }""",
        "Relu Concat",
    ),
    Case(
        "resolve_auto_pad",
        "automatic padding",
        """(float[1,4,7,6] x, float[8,4,3,2] w) => (float[1,8,4,3] y) {
            y = Conv <auto_pad = "SAME_UPPER", strides = [2,2]> (x, w) }""",
        "Conv",
    ),
    Case(
        "resolve_cast_like",
        "a cast to the type of another value",
        "(float[2,3] x, int32[3] z) => (int32[2,3] y) { y = CastLike(x, z) }",
        "Cast",
    ),
    Case(
        "remove_unit_reductions",
        "a mean over one value",
        """(float[2,1,8] x) => (float[2,8] y) {
            a = Constant <value_ints = [1]> () y = ReduceMean <keepdims = 0> (x, a) }""",
        "Reshape",
        18,
    ),
    Case(
        "remove_expand",
        "an operand that is brought to the shape of the other",
        """(float[2,3,4] x, float[1,4] z) => (float[2,3,4] y) {
            s = Constant <value_ints = [2, 3, 4]> () a = Expand(z, s) y = Add(x, a) }""",
        "Add",
    ),
    Case(
        "merge_reshapes",
        "an Unsqueeze of a Flatten",
        """(float[2,3,4] x) => (float[2,1,12] y) {
            i = Constant <value_ints = [1]> () a = Flatten(x) y = Unsqueeze(a, i) }""",
        "Reshape",
    ),
    Case(
        "matmul_to_gemm",
        "a product of a matrix and weights, and a bias",
        """(float[2,8] x, float[8,5] w, float[5] w1) => (float[2,5] y) {
            a = MatMul(x, w) y = Add(a, w1) }""",
        "Gemm",
    ),
    Case(
        "move_constants_before_transposes",
        "a factor behind a Transpose of a convolution",
        """(float[1,4,6,6] x, float[8,4,1,1] w, float[8] w1) => (float[1,6,6,8] y) {
            c = Conv(x, w) t = Transpose <perm = [0, 2, 3, 1]> (c) y = Mul(t, w1) }""",
        "Conv Transpose",
    ),
    Case(
        "split_before_concat",
        "boxes and classes of two scales, joined and split again",
        """(float[1,4,6,6] a, float[1,3,6,6] b, float[1,4,3,3] c, float[1,3,3,3] d)
            => (float[1,4,45] y, float[1,3,45] z) {
            s = Constant <value_ints = [1, 7, -1]> () n = Constant <value_ints = [4, 3]> ()
            e = Concat <axis = 1> (a, b) f = Concat <axis = 1> (c, d)
            g = Reshape(e, s) h = Reshape(f, s) i = Concat <axis = 2> (g, h)
            p, q = Split <axis = 1> (i, n) y = Relu(p) z = Sigmoid(q) }""",
        "Reshape Reshape Concat Reshape Reshape Concat Relu Sigmoid",
    ),
    Case(
        "split_before_concat",
        "slices of what two Concats joined, one of which stays a Concat",
        """(float[1,2,5] a, float[1,3,5] b, float[1,1,5] c) => (float[1,5,5] y, float[1,1,5] z) {
            e = Concat <axis = 1> (a, b, c) x = Constant <value_ints = [1]> ()
            o = Constant <value_ints = [0]> () f = Constant <value_ints = [-1]> ()
            t = Constant <value_ints = [99]> ()
            p = Slice(e, o, f, x) q = Slice(e, f, t, x) y = Relu(p) z = Sigmoid(q) }""",
        "Concat Relu Sigmoid",
    ),
    Case(
        "split_before_concat",
        "boxes, classes and masks that are joined in two steps, turned round and taken apart",
        """(float[1,4,5] a, float[1,3,5] b, float[1,2,5] c)
            => (float[1,5,4] y, float[1,5,3] z, float[1,5,2] v) {
            d = Relu(a) e = Concat <axis = 1> (d, b) f = Concat <axis = 1> (e, c)
            t = Transpose <perm = [0, 2, 1]> (f) n = Constant <value_ints = [4, 3, 2]> ()
            p, q, r = Split <axis = 2> (t, n) y = Sigmoid(p) z = Relu(q) v = Tanh(r) }""",
        "Relu Transpose Transpose Transpose Sigmoid Relu Tanh",
    ),
    Case(
        "split_before_concat",
        "a part that cuts through a tensor stays",
        """(float[1,4,5] a, float[1,3,5] b) => (float[1,5,5] y, float[1,2,5] z) {
            e = Concat <axis = 1> (a, b) n = Constant <value_ints = [5, 2]> ()
            y, z = Split <axis = 1> (e, n) }""",
        "Concat Split",
        applies=False,
    ),
    Case(
        "split_before_concat",
        "what is read as a whole too stays",
        """(float[1,4,5] a, float[1,3,5] b) => (float[1,4,5] y, float[1,3,5] z, float[1,7,5] w) {
            e = Concat <axis = 1> (a, b) n = Constant <value_ints = [4, 3]> ()
            y, z = Split <axis = 1> (e, n) w = Relu(e) }""",
        "Concat Split Relu",
        applies=False,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
