"""Passes that fold constants into layers."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
    Case(
        "fold_channel_order",
        "pictures in BGR, whose channels a Gather turns round, normalized first",
        """(float[1,3,5,4] x, float[3] w1, float[2,3,3,3] w) => (float[1,2,3,2] y) {
            m = Constant <value_ints = [1, 3, 1, 1]> () v = Reshape(w1, m) d = Sub(x, v)
            i = Constant <value_ints = [2, 1, 0]> () g = Gather <axis = 1> (d, i)
            y = Conv(g, w) }""",
        "Conv",
    ),
    Case(
        "fold_channel_order",
        "channels that a Slice turns round",
        """(float[2,3,5,4] x, float[2,3,3,3] w) => (float[2,2,3,2] y) {
            s = Constant <value_ints = [-1]> () e = Constant <value_ints = [-99]> ()
            a = Constant <value_ints = [1]> () g = Slice(x, s, e, a, s) y = Conv(g, w) }""",
        "Conv",
    ),
    Case(
        "fold_channel_order",
        "a channel that comes twice, and groups",
        """(float[1,2,5,4] x, float[2,2,3,3] w, float[2,1,3,3] v)
            => (float[1,2,3,2] y, float[1,2,3,2] z) {
            i = Constant <value_ints = [1, 1]> () g = Gather <axis = 1> (x, i) y = Conv(g, w)
            j = Constant <value_ints = [1, 0]> () h = Gather <axis = 1> (x, j)
            z = Conv <group = 2> (h, v) }""",
        "Gather Conv Gather Conv",
        applies=False,
    ),
    Case(
        "fold_grouped",
        "a depthwise layer with padding, stride and bias in front of one of one tap",
        """(float[1,4,9,8] x, float[4,1,3,3] w1, float[4] w2, float[6,4,1,1] w3)
            => (float[1,6,5,4] y) {
            d = Conv <group = 4, pads = [1, 1, 1, 1], strides = [2, 2]> (x, w1, w2)
            y = Conv(d, w3) }""",
        "Conv",
    ),
    Case(
        "fold_grouped",
        "an asymmetric one without bias, over a signal",
        """(float[2,4,9] x, float[4,1,5] w1, float[3,4,1] w2, float[3] w3) => (float[2,3,7] y) {
            d = Conv <group = 4, pads = [2, 0]> (x, w1) y = Conv(d, w2, w3) }""",
        "Conv",
    ),
    Case(
        "fold_grouped",
        "two groups that widen, in front of a layer that narrows",
        """(float[1,8,9,8] x, float[32,4,3,3] w1, float[32] w2, float[16,32,1,1] w3, float[16] w4)
            => (float[1,16,5,4] y) {
            d = Conv <group = 2, pads = [1, 1, 1, 1], strides = [2, 2]> (x, w1, w2)
            y = Conv(d, w3, w4) }""",
        "Conv",
    ),
    Case(
        "fold_grouped",
        "layers with a stride or padding behind, a middle that is read again, and many channels",
        """(float[1,4,9,8] x, float[1,40,5,5] z, float[4,1,3,3] w1, float[4,4,1,1] w2,
            float[40,1,3,3] w3, float[4,40,1,1] w4) => (float[1,4,4,3] a, float[1,4,9,8] b,
            float[1,4,7,6] c, float[1,4,3,3] e) {
            d = Conv <group = 4> (x, w1) a = Conv <strides = [2, 2]> (d, w2)
            f = Conv <group = 4> (x, w1) b = Conv <pads = [1, 1, 1, 1]> (f, w2)
            g = Neg(d) c = Add(g, f) h = Conv <group = 40> (z, w3) e = Conv(h, w4) }""",
        "Conv Conv Conv Neg Add Conv Conv",
        applies=False,
    ),
    Case(
        "fold_batch_norm",
        "batch normalization behind a convolution without bias",
        """(float[1,4,6,6] x, float[8,4,3,3] w, float[8] w1, float[8] w2, float[8] w3,
            float[8] w_positive) => (float[1,8,4,4] y) {
            c = Conv(x, w) y = BatchNormalization(c, w1, w2, w3, w_positive) }""",
        "Conv",
    ),
    Case(
        "fold_batch_norm",
        "batch normalization behind a grouped transposed convolution",
        """(float[1,4,6,6] x, float[4,3,3,3] w, float[6] w0, float[6] w1, float[6] w2, float[6] w3,
            float[6] w_positive) => (float[1,6,8,8] y) {
            c = ConvTranspose <group = 2> (x, w, w0)
            y = BatchNormalization(c, w1, w2, w3, w_positive) }""",
        "ConvTranspose",
    ),
    Case(
        "fold_batch_norm",
        "batch normalization of channels stays behind a normalization of as many columns",
        """(float[1,6,4,6] x, float[6] w0, float[6] w1, float[6] w2, float[6] w3,
            float[6] w_positive) => (float[1,6,4,6] y) {
            n = LayerNormalization(x, w0, w1)
            y = BatchNormalization(n, w0, w1, w3, w_positive) }""",
        "LayerNormalization Conv",
        applies=False,
    ),
    Case(
        "fold_into_next",
        "batch normalization in front of an unpadded grouped convolution",
        """(float[1,4,6,6] x, float[8,2,3,3] w, float[4] w1, float[4] w2, float[4] w3,
            float[4] w_positive) => (float[1,8,4,4] y) {
            b = BatchNormalization(x, w1, w2, w3, w_positive) y = Conv <group = 2> (b, w) }""",
        "Conv",
    ),
    Case(
        "fold_into_next",
        "a shift in front of a padded convolution stays",
        """(float[1,4,6,6] x, float[8,4,3,3] w, float[4,1,1] w1) => (float[1,8,6,6] y) {
            b = Add(x, w1) y = Conv <pads = [1,1,1,1]> (b, w) }""",
        "Add Conv",
        applies=False,
    ),
    Case(
        "fold_scale",
        "scale and bias behind a convolution, with two users the convolution stays",
        """(float[1,4,6,6] x, float[8,4,1,1] w, float[1,8,1,1] w1, float[1] w2)
            => (float[1,8,6,6] y, float[1,8,6,6] z) {
            c = Conv(x, w) d = Mul(c, w1) e = Add(w2, d) y = Relu(e) z = Sigmoid(e) }""",
        "Conv Relu Sigmoid",
    ),
    Case(
        "fold_bias",
        "a summand for each channel behind a convolution",
        """(float[1,4,6,6] x, float[8,4,1,1] w, float[8,1,1] w1) => (float[1,8,6,6] y) {
            c = Conv(x, w) y = Sub(c, w1) }""",
        "Conv",
    ),
    Case(
        "fold_scale_through_moves",
        "a scale for each channel of a layer of rows, as vision transformers have it",
        """(float[1,5,8] x, float[8,6] w, float[6] w1, float[6] w2) => (float[1,5,6] y) {
            m = MatMul(x, w) a = Add(m, w1) y = Mul(a, w2) }""",
        "Reshape Gemm Reshape",
    ),
    Case(
        "fold_scale_through_moves",
        "scales of heads, and what scores are divided by",
        """(float[1,5,8] x, float[8,6] w, float[8,6] w1, float[2,1,3] w2, float[1] w_positive)
            => (float[1,2,5,5] y) <int64[4] s = {1, 5, 2, 3}> {
            q = MatMul(x, w) k = MatMul(x, w1) q4 = Reshape(q, s) k4 = Reshape(k, s)
            qt = Transpose <perm = [0,2,1,3]> (q4) kt = Transpose <perm = [0,2,3,1]> (k4)
            qs = Mul(qt, w2) p = MatMul(qs, kt) y = Div(p, w_positive) }""",
        "Reshape Gemm Gemm Reshape Reshape Transpose Transpose MatMul",
    ),
    Case(
        "fold_scale_through_moves",
        "one number for each key goes into the layer on the right of the product",
        """(float[1,5,8] x, float[8,6] w, float[1,5,6] q, float[5] w1) => (float[1,5,5] y) {
            k = MatMul(x, w) kt = Transpose <perm = [0,2,1]> (k) p = MatMul(q, kt)
            y = Mul(p, w1) }""",
        "Reshape Gemm Reshape Transpose MatMul Mul",
        applies=False,
    ),
    Case(
        "fold_scale_through_moves",
        "a scale of tokens stays",
        """(float[1,5,8] x, float[8,6] w, float[5,1] w1) => (float[1,5,6] y) {
            m = MatMul(x, w) y = Mul(m, w1) }""",
        "Reshape Gemm Reshape Mul",
        applies=False,
    ),
    Case(
        "fold_scale_through_moves",
        "and so does one of what another node reads too",
        """(float[1,5,8] x, float[8,6] w, float[6,1] w1) => (float[1,6,5] y, float[1,6,5] z) {
            m = MatMul(x, w) t = Transpose <perm = [0,2,1]> (m) y = Mul(t, w1) z = Relu(t) }""",
        "Reshape Gemm Reshape Transpose Mul Relu",
        applies=False,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
