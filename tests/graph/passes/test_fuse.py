"""Passes that find a decomposed operator."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
    Case(
        "fuse_gelu",
        "erf GELU as PyTorch exports it",
        """(float[2,8] x) => (float[2,8] y) {
            root = Constant <value_float = 1.4142135> ()
            one = Constant <value_float = 1.0> ()
            half = Constant <value_float = 0.5> ()
            a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half) }""",
        "Gelu",
    ),
    Case(
        "fuse_gelu",
        "tanh GELU with the cube as a power",
        """(float[2,8] x) => (float[2,8] y) {
            three = Constant <value_float = 3.0> ()
            k = Constant <value_float = 0.044715> ()
            s = Constant <value_float = 0.7978845608> ()
            one = Constant <value_float = 1.0> ()
            half = Constant <value_float = 0.5> ()
            a = Pow(x, three) b = Mul(k, a) c = Add(x, b) d = Mul(s, c) e = Tanh(d)
            f = Add(one, e) g = Mul(half, x) y = Mul(g, f) }""",
        "Gelu",
    ),
    Case(
        "fuse_gelu",
        "tanh GELU with the cube as products",
        """(float[2,8] x) => (float[2,8] y) {
            k = Constant <value_float = 0.0356774081> ()
            s = Constant <value_float = 0.7978845608> ()
            half = Constant <value_float = 0.5> ()
            a = Mul(x, x) b = Mul(a, k) c = Add(b, s) d = Mul(c, x) e = Tanh(d)
            f = Mul(x, half) g = Mul(f, e) y = Add(g, f) }""",
        "Gelu",
    ),
    Case(
        "fuse_hard_sigmoid",
        "hard sigmoid as a clipped line",
        """(float[2,8] x) => (float[2,8] y) {
            three = Constant <value_float = 3.0> ()
            zero = Constant <value_float = 0.0> ()
            six = Constant <value_float = 6.0> ()
            a = Add(x, three) b = Clip(a, zero, six) y = Div(b, six) }""",
        "HardSigmoid",
    ),
    Case(
        "fuse_norm",
        "layer normalization with its scale and bias",
        """(float[2,4,8] x, float[8] w1, float[8] w2) => (float[2,4,8] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.00001> ()
            m = ReduceMean <axes = [-1]> (x) d = Sub(x, m) s = Pow(d, two)
            v = ReduceMean <axes = [-1]> (s) a = Add(v, e) r = Sqrt(a) n = Div(d, r)
            g = Mul(n, w1) y = Add(g, w2) }""",
        "LayerNormalization",
    ),
    Case(
        "fuse_norm",
        "layer normalization with the distance computed twice and squared by a product",
        """(float[2,4,8] x, float[8] w1) => (float[2,4,8] y) {
            e = Constant <value_float = 0.00001> ()
            axes = Constant <value_ints = [2]> ()
            m = ReduceMean(x, axes) d = Sub(x, m) d2 = Sub(x, m) s = Mul(d2, d2)
            v = ReduceMean(s, axes) a = Add(e, v) r = Sqrt(a) n = Div(d, r) y = Mul(w1, n) }""",
        "LayerNormalization",
        18,
    ),
    Case(
        "fuse_norm",
        "layer normalization over the channels of an image",
        """(float[1,8,4,4] x, float[8,1,1] w1, float[8,1,1] w2) => (float[1,8,4,4] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.00001> ()
            m = ReduceMean <axes = [1]> (x) d = Sub(x, m) s = Pow(d, two)
            v = ReduceMean <axes = [1]> (s) a = Add(v, e) r = Sqrt(a) n = Div(d, r)
            g = Mul(n, w1) y = Add(g, w2) }""",
        "Transpose LayerNormalization Transpose",
    ),
    Case(
        "fuse_norm",
        "instance normalization",
        """(float[1,8,4,4] x) => (float[1,8,4,4] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.00001> ()
            m = ReduceMean <axes = [2, 3]> (x) d = Sub(x, m) s = Pow(d, two)
            v = ReduceMean <axes = [2, 3]> (s) a = Add(v, e) r = Sqrt(a) y = Div(d, r) }""",
        "InstanceNormalization",
    ),
    Case(
        "fuse_relu",
        "relu6 as comparisons",
        """(float[2,8] x) => (float[2,8] y) {
            zero = Constant <value_float = 0.0> () six = Constant <value_float = 6.0> ()
            a = Max(x, zero) y = Min(a, six) }""",
        "Clip",
    ),
    Case(
        "fuse_relu",
        "leaky relu as a maximum",
        """(float[2,8] x) => (float[2,8] y) {
            k = Constant <value_float = 0.1> () a = Mul(x, k) y = Max(a, x) }""",
        "LeakyRelu",
    ),
    Case(
        "fuse_rms_norm",
        "root-mean-square normalization with its scale",
        """(float[2,4,40] x, float[40] w1) => (float[2,4,40] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.000001> () t = Tanh(x)
            s = Pow(t, two) v = ReduceMean <axes = [-1]> (s) a = Add(v, e) r = Sqrt(a)
            i = Reciprocal(r) n = Mul(t, i) y = Mul(w1, n) }""",
        "Tanh RMSNormalization",
    ),
    Case(
        "fuse_rms_norm",
        "a norm with a factor that is kept above an epsilon, as ScaleNorm has it",
        """(float[2,8] x, float[8] w1) => (float[2,8] y) {
            c = Constant <value_float = 0.0625> ()
            e = Constant <value_float = 1e-5> ()
            n = ReduceL2 <axes = [-1]> (x) s = Mul(n, c) b = Clip(s, e)
            d = Div(x, b) y = Mul(d, w1) }""",
        "RMSNormalization",
    ),
    Case(
        "fuse_rms_norm",
        "a norm with a factor that is kept above a large number",
        """(float[2,8] x) => (float[2,8] y) {
            c = Constant <value_float = 0.0625> ()
            e = Constant <value_float = 0.1> ()
            n = ReduceL2 <axes = [-1]> (x) s = Mul(n, c) b = Clip(s, e) y = Div(x, b) }""",
        "ReduceL2 Mul Clip Div",
        applies=False,
    ),
    Case(
        "fuse_rms_norm",
        "L2 normalization as PyTorch exports it",
        """(float[2,8] x) => (float[2,8] y) {
            e = Constant <value_float = 1e-12> ()
            shape = Constant <value_ints = [2, 8]> ()
            n = ReduceL2 <axes = [1]> (x) c = Clip(n, e) b = Expand(c, shape) y = Div(x, b) }""",
        "LpNormalization",
    ),
    Case(
        "fuse_softmax",
        "softmax with its maximum taken off",
        """(float[2,8] x) => (float[2,8] y) {
            axes = Constant <value_ints = [1]> ()
            m = ReduceMax <axes = [1]> (x) d = Sub(x, m) e = Exp(d)
            s = ReduceSum(e, axes) y = Div(e, s) }""",
        "Softmax",
    ),
    Case(
        "fuse_softmax",
        "the logarithm of a sigmoid",
        "(float[2,8] x) => (float[2,8] y) { a = Sigmoid(x) y = Log(a) }",
        "Neg Softplus Neg",
    ),
    Case(
        "fuse_softmax",
        "softplus",
        """(float[2,8] x) => (float[2,8] y) {
            one = Constant <value_float = 1.0> () a = Exp(x) b = Add(a, one) y = Log(b) }""",
        "Softplus",
    ),
    Case(
        "fuse_swish",
        "SiLU",
        "(float[2,8] x) => (float[2,8] y) { a = Sigmoid(x) y = Mul(a, x) }",
        "Sigmoid Mul",
    ),
    Case(
        "fuse_swish",
        "SiLU with a slope, whose factors fold into the layers around it",
        """(float[2,8] x, float[8,8] w1, float[8,8] w2) => (float[2,8] y) {
            k = Constant <value_float = 1.702> ()
            h = MatMul(x, w1) a = Mul(h, k) b = Sigmoid(a) c = Mul(h, b) y = MatMul(c, w2) }""",
        "Gemm Sigmoid Mul Gemm",
    ),
    Case(
        "fuse_swish",
        "hard swish as Add, Clip, Mul, Div",
        """(float[2,8] x) => (float[2,8] y) {
            three = Constant <value_float = 3.0> ()
            zero = Constant <value_float = 0.0> ()
            six = Constant <value_float = 6.0> ()
            a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six) }""",
        "HardSwish",
    ),
    Case(
        "fuse_swish",
        "hard swish as x times hard sigmoid",
        """(float[2,8] x) => (float[2,8] y) {
            a = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(a, x) }""",
        "HardSwish",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
