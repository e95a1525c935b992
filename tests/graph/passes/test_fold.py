"""Passes that fold constants into layers."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
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
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
