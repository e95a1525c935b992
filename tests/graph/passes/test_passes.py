"""Each rewrite: a model in, the operators that must come out, and the same results."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from snapq.errors import ConfigError
from snapq.graph.passes.run import all_passes
from snapq.graph.prepare import prepare
from tests.graph.models import build, prepared_from


@dataclass(frozen=True)
class Case:
    claim: str
    text: str
    operators: str
    opset: int = 17


CASES = [
    Case(
        "sampling points over 6 dimensions",
        """(float[5,24] x, float[1,5,4] z) => (float[5,2,2,2] y) {
            s = Constant <value_ints = [1, 5, 2, 3, 2, 2]> () a = Reshape(x, s)
            t = Constant <value_ints = [1, 5, 1, 1, 1, 4]> () b = Reshape(z, t)
            f = Constant <value_ints = [0]> () h = Constant <value_ints = [2]> ()
            e = Constant <value_ints = [4]> () m = Constant <value_ints = [-1]> ()
            p = Slice(b, f, h, m) q = Slice(b, h, e, m) c = Mul(a, q) d = Add(p, c)
            i = Constant <value_int = 1> () g = Gather <axis = 3> (d, i)
            u = Constant <value_ints = [5, 2, 2, 2]> () y = Reshape(g, u) }""",
        "Reshape Slice Slice Reshape Reshape Mul Reshape Add Gather Reshape",
    ),
    Case(
        "an element-wise operator over 6 dimensions, broadcast",
        """(float[2,1,3,2,2,4] x, float[3,1,1,4] z) => (float[2,1,3,2,2,4] y) { y = Add(x, z) }""",
        "Reshape Reshape Add Reshape",
    ),
    Case(
        "a mean over two of 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,3,4] y) {
            a = Constant <value_ints = [3, 4]> () y = ReduceMean <keepdims = 0> (x, a) }""",
        "Reshape ReduceMean Reshape",
        18,
    ),
    Case(
        "a Softmax over 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,3,2,2,4] y) { y = Softmax <axis = 2> (x) }""",
        "Reshape Softmax Reshape",
    ),
    Case(
        "a Concat over 6 dimensions",
        """(float[2,1,3,2,2,4] x, float[2,1,3,2,2,4] z) => (float[2,2,3,2,2,4] y) {
            y = Concat <axis = 1> (x, z) }""",
        "Reshape Reshape Concat Reshape",
    ),
    Case(
        "a Split over 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,1,2,2,4] y, float[2,1,2,2,2,4] z) {
            s = Constant <value_ints = [1, 2]> () y, z = Split <axis = 2> (x, s) }""",
        "Reshape Split Reshape Reshape",
    ),
    Case(
        "a product over 6 dimensions",
        """(float[2,3,1,2,4,3] x, float[2,3,1,2,3,5] z) => (float[2,3,1,2,4,5] y) {
            y = MatMul(x, z) }""",
        "Reshape Reshape MatMul Reshape",
    ),
    Case(
        "an Expand and a Tile to 6 dimensions",
        """(float[2,3,1,2,1,4] x) => (float[2,3,5,2,1,4] y, float[2,6,1,2,1,4] z) {
            s = Constant <value_ints = [2, 3, 5, 2, 1, 4]> () y = Expand(x, s)
            t = Constant <value_ints = [1, 2, 1, 1, 1, 1]> () z = Tile(x, t) }""",
        "Reshape Expand Reshape Reshape Tile Reshape",
    ),
    Case(
        "a move of the first of 5 dimensions, of which three stay together",
        """(float[1,5,2,2,3] x) => (float[1,2,5,2,3] y) {
            y = Transpose <perm = [0, 2, 1, 3, 4]> (x) }""",
        "Reshape Transpose Reshape",
    ),
    Case(
        "a mask indexed by all its coordinates",
        """(bool[2,3] x) => (bool[2,1,3] y) {
            i = Constant <value = int64[2, 1, 3, 2] {0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2}> ()
            y = GatherND (x, i) }""",
        "Reshape",
    ),
    Case(
        "some rows by their coordinates, in batches",
        """(float[2,3,4] x) => (float[2,2,4] y) {
            i = Constant <value = int64[2, 2, 1] {2, 0, -1, 1}> ()
            y = GatherND <batch_dims = 1> (x, i) }""",
        "Reshape Gather",
    ),
    Case(
        "attention without a mask, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            q = MatMul(x, w) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Softmax",
    ),
    Case(
        "attention with a constant mask that leaves something, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            b = Constant <value = bool[4] {1, 1, 0, 1}> () z = Constant <value_float = 0.0> ()
            m = Constant <value_float = -inf> () k = Where(b, z, m) p = MatMul(x, w)
            q = Add(p, k) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Add Softmax",
    ),
    Case(
        "attention with a constant mask that leaves nothing, tested for NaN",
        """(float[2,3,8] x, float[2,8,4] w) => (float[2,3,4] y) {
            b = Constant <value = bool[3, 1] {1, 0, 1}> () z = Constant <value_float = 0.0> ()
            m = Constant <value_float = -inf> () k = Where(b, z, m) p = MatMul(x, w)
            q = Add(p, k) s = Softmax <axis = -1> (q)
            n = IsNaN(s) o = Constant <value_float = 0.0> () y = Where(n, o, s) }""",
        "MatMul Add Softmax IsNaN Where",
    ),
    Case(
        "few values normalized over two dimensions of rows",
        """(float[1,5,4,16] x, float[16] w) => (float[1,5,4,16] y) {
            y = RMSNormalization <axis = -1> (x, w) }""",
        "Reshape RMSNormalization Reshape",
        23,
    ),
    Case(
        "many values normalized over two dimensions of rows",
        """(float[1,5,4,64] x, float[64] w) => (float[1,5,4,64] y) {
            y = RMSNormalization <axis = -1> (x, w) }""",
        "RMSNormalization",
        23,
    ),
    Case(
        "a normalization of more dimensions than the NPU takes",
        """(float[1,2,3,4,8] x, float[8] w, float[8] wb) => (float[1,2,3,4,8] y) {
            y = LayerNormalization <axis = -1> (x, w, wb) }""",
        "Reshape LayerNormalization Reshape",
    ),
    Case(
        "queries, keys and values of one layer, picked by index",
        """(float[2,5,8] x, float[8,36] w, float[36] wb) => (float[2,2,5,5] y, float[2,2,5,6] v) {
            s = Constant <value_ints = [2, 5, 3, 2, 6]> () h = MatMul(x, w) b = Add(h, wb)
            r = Reshape(b, s) t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
            i = Constant <value_int = 0> () j = Constant <value_int = 1> ()
            k = Constant <value_int = -1> ()
            q = Gather <axis = 0> (t, i) p = Gather <axis = 0> (t, j) v = Gather <axis = 0> (t, k)
            u = Transpose <perm = [0, 1, 3, 2]> (p) y = MatMul(q, u) }""",
        "Reshape Gemm Reshape Transpose Gemm Reshape Gemm Reshape Transpose Transpose MatMul",
    ),
    Case(
        "queries, keys and values of one layer, split head by head",
        """(float[2,5,8] x, float[8,36] w) => (float[2,2,5,5] y, float[2,2,5,6] z) {
            s = Constant <value_ints = [2, 5, 2, 3, 6]> () h = MatMul(x, w) r = Reshape(h, s)
            q, p, v = Split <axis = 3, num_outputs = 3> (r)
            n = Constant <value_ints = [3]> () a = Squeeze(q, n) b = Squeeze(p, n)
            c = Squeeze(v, n) d = Transpose <perm = [0, 2, 1, 3]> (a)
            e = Transpose <perm = [0, 2, 3, 1]> (b) z = Transpose <perm = [0, 2, 1, 3]> (c)
            y = MatMul(d, e) }""",
        "Reshape Gemm Gemm Gemm Reshape Reshape Reshape Transpose Transpose Transpose MatMul",
        18,
    ),
    Case(
        "a layer of which a slice is all that is read",
        """(float[2,8] x, float[8,36] w) => (float[2,4,3] y) {
            s = Constant <value_ints = [2, 6, 2, 3]> () h = MatMul(x, w) r = Reshape(h, s)
            i = Constant <value_ints = [1]> () j = Constant <value_ints = [5]> ()
            a = Constant <value_ints = [1]> () t = Slice(r, i, j, a)
            p = Constant <value_ints = [1]> () k = Constant <value_int = 1> ()
            y = Gather <axis = 2> (t, k) }""",
        "Gemm Reshape",
    ),
    Case(
        "erf GELU as PyTorch exports it",
        """(float[2,8] x) => (float[2,8] y) {
            root = Constant <value_float = 1.4142135> ()
            one = Constant <value_float = 1.0> ()
            half = Constant <value_float = 0.5> ()
            a = Div(x, root) b = Erf(a) c = Add(b, one) d = Mul(x, c) y = Mul(d, half) }""",
        "Gelu",
    ),
    Case(
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
        "tanh GELU with the cube as products",
        """(float[2,8] x) => (float[2,8] y) {
            k = Constant <value_float = 0.0356774081> ()
            s = Constant <value_float = 0.7978845608> ()
            half = Constant <value_float = 0.5> ()
            a = Mul(x, x) b = Mul(a, k) c = Add(b, s) d = Mul(c, x) e = Tanh(d)
            f = Mul(x, half) g = Mul(f, e) y = Add(g, f) }""",
        "Gelu",
    ),
    Case("SiLU", "(float[2,8] x) => (float[2,8] y) { a = Sigmoid(x) y = Mul(a, x) }", "Swish"),
    Case(
        "SiLU with a slope, whose factors fold into the layers around it",
        """(float[2,8] x, float[8,8] w1, float[8,8] w2) => (float[2,8] y) {
            k = Constant <value_float = 1.702> ()
            h = MatMul(x, w1) a = Mul(h, k) b = Sigmoid(a) c = Mul(h, b) y = MatMul(c, w2) }""",
        "Gemm Swish Gemm",
    ),
    Case(
        "hard swish as Add, Clip, Mul, Div",
        """(float[2,8] x) => (float[2,8] y) {
            three = Constant <value_float = 3.0> ()
            zero = Constant <value_float = 0.0> ()
            six = Constant <value_float = 6.0> ()
            a = Add(x, three) b = Clip(a, zero, six) c = Mul(x, b) y = Div(c, six) }""",
        "HardSwish",
    ),
    Case(
        "hard swish as x times hard sigmoid",
        """(float[2,8] x) => (float[2,8] y) {
            a = HardSigmoid <alpha = 0.16666667, beta = 0.5> (x) y = Mul(a, x) }""",
        "HardSwish",
    ),
    Case(
        "hard sigmoid as a clipped line",
        """(float[2,8] x) => (float[2,8] y) {
            three = Constant <value_float = 3.0> ()
            zero = Constant <value_float = 0.0> ()
            six = Constant <value_float = 6.0> ()
            a = Add(x, three) b = Clip(a, zero, six) y = Div(b, six) }""",
        "HardSigmoid",
    ),
    Case(
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
        "instance normalization",
        """(float[1,8,4,4] x) => (float[1,8,4,4] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.00001> ()
            m = ReduceMean <axes = [2, 3]> (x) d = Sub(x, m) s = Pow(d, two)
            v = ReduceMean <axes = [2, 3]> (s) a = Add(v, e) r = Sqrt(a) y = Div(d, r) }""",
        "InstanceNormalization",
    ),
    Case(
        "root-mean-square normalization with its scale",
        """(float[2,4,40] x, float[40] w1) => (float[2,4,40] y) {
            two = Constant <value_float = 2.0> ()
            e = Constant <value_float = 0.000001> ()
            s = Pow(x, two) v = ReduceMean <axes = [-1]> (s) a = Add(v, e) r = Sqrt(a)
            i = Reciprocal(r) n = Mul(x, i) y = Mul(w1, n) }""",
        "RMSNormalization",
    ),
    Case(
        "L2 normalization as PyTorch exports it",
        """(float[2,8] x) => (float[2,8] y) {
            e = Constant <value_float = 1e-12> ()
            shape = Constant <value_ints = [2, 8]> ()
            n = ReduceL2 <axes = [1]> (x) c = Clip(n, e) b = Expand(c, shape) y = Div(x, b) }""",
        "LpNormalization",
    ),
    Case(
        "L2 normalization over channels",
        """(float[1,8,5,6] x) => (float[1,8,5,6] y) {
            y = LpNormalization <axis = 1, p = 2> (x) }""",
        "Transpose LpNormalization Transpose",
    ),
    Case(
        "softmax with its maximum taken off",
        """(float[2,8] x) => (float[2,8] y) {
            axes = Constant <value_ints = [1]> ()
            m = ReduceMax <axes = [1]> (x) d = Sub(x, m) e = Exp(d)
            s = ReduceSum(e, axes) y = Div(e, s) }""",
        "Softmax",
    ),
    Case(
        "softplus",
        """(float[2,8] x) => (float[2,8] y) {
            one = Constant <value_float = 1.0> () a = Exp(x) b = Add(a, one) y = Log(b) }""",
        "Softplus",
    ),
    Case(
        "relu6 as comparisons",
        """(float[2,8] x) => (float[2,8] y) {
            zero = Constant <value_float = 0.0> () six = Constant <value_float = 6.0> ()
            a = Max(x, zero) y = Min(a, six) }""",
        "Clip",
    ),
    Case(
        "leaky relu as a maximum",
        """(float[2,8] x) => (float[2,8] y) {
            k = Constant <value_float = 0.1> () a = Mul(x, k) y = Max(a, x) }""",
        "LeakyRelu",
    ),
    Case(
        "batch normalization behind a convolution without bias",
        """(float[1,4,6,6] x, float[8,4,3,3] w, float[8] w1, float[8] w2, float[8] w3,
            float[8] w_positive) => (float[1,8,4,4] y) {
            c = Conv(x, w) y = BatchNormalization(c, w1, w2, w3, w_positive) }""",
        "Conv",
    ),
    Case(
        "batch normalization behind a grouped transposed convolution",
        """(float[1,4,6,6] x, float[4,3,3,3] w, float[6] w0, float[6] w1, float[6] w2, float[6] w3,
            float[6] w_positive) => (float[1,6,8,8] y) {
            c = ConvTranspose <group = 2> (x, w, w0)
            y = BatchNormalization(c, w1, w2, w3, w_positive) }""",
        "ConvTranspose",
    ),
    Case(
        "batch normalization in front of an unpadded grouped convolution",
        """(float[1,4,6,6] x, float[8,2,3,3] w, float[4] w1, float[4] w2, float[4] w3,
            float[4] w_positive) => (float[1,8,4,4] y) {
            b = BatchNormalization(x, w1, w2, w3, w_positive) y = Conv <group = 2> (b, w) }""",
        "Conv",
    ),
    Case(
        "a shift in front of a padded convolution stays",
        """(float[1,4,6,6] x, float[8,4,3,3] w, float[4,1,1] w1) => (float[1,8,6,6] y) {
            b = Add(x, w1) y = Conv <pads = [1,1,1,1]> (b, w) }""",
        "Add Conv",
    ),
    Case(
        "scale and bias behind a convolution, with two users the convolution stays",
        """(float[1,4,6,6] x, float[8,4,1,1] w, float[1,8,1,1] w1, float[1] w2)
            => (float[1,8,6,6] y, float[1,8,6,6] z) {
            c = Conv(x, w) d = Mul(c, w1) e = Add(w2, d) y = Relu(e) z = Sigmoid(e) }""",
        "Conv Relu Sigmoid",
    ),
    Case(
        "padding in front of a convolution",
        """(float[1,4,6,6] x, float[8,4,3,3] w) => (float[1,8,8,8] y) {
            p = Constant <value_ints = [0,0,1,2,0,0,1,0]> ()
            a = Pad(x, p) y = Conv <pads = [1,0,1,2]> (a, w) }""",
        "Conv",
    ),
    Case(
        "padding with zeros in front of a maximum stays where the input may be negative",
        """(float[1,4,6,6] x) => (float[1,4,4,4] y) {
            p = Constant <value_ints = [0,0,1,1,0,0,1,1]> ()
            a = Pad(x, p) y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a) }""",
        "Pad MaxPool",
    ),
    Case(
        "automatic padding",
        """(float[1,4,7,6] x, float[8,4,3,2] w) => (float[1,8,4,3] y) {
            y = Conv <auto_pad = "SAME_UPPER", strides = [2,2]> (x, w) }""",
        "Conv",
    ),
    Case(
        "a Gemm with factors and turned operands",
        """(float[8,2] x, float[8,5] w, float[1,5] w1) => (float[2,5] y) {
            y = Gemm <alpha = 0.5, beta = 2.0, transA = 1> (x, w, w1) }""",
        "Transpose Gemm",
    ),
    Case(
        "product of rows and weights with a bias",
        """(float[2,3,8] x, float[8,5] w, float[5] w1) => (float[2,3,5] y) {
            a = MatMul(x, w) y = Add(w1, a) }""",
        "Reshape Gemm Reshape",
    ),
    Case(
        "dropout, identities and reshapes in a row go",
        """(float[2,3,4] x) => (float[6,4] y) {
            s = Constant <value_ints = [-1, 2]> () t = Constant <value_ints = [6, 4]> ()
            a = Identity(x) b = Dropout(a) c = Reshape(b, s) d = Reshape(c, t)
            zero = Constant <value_float = 0.0> () y = Add(d, zero) }""",
        "Reshape",
    ),
    Case(
        "two transposes that cancel go",
        """(float[2,3,4] x) => (float[2,3,4] y) {
            a = Transpose <perm = [2,0,1]> (x) b = Transpose <perm = [1,2,0]> (a) y = Relu(b) }""",
        "Relu",
    ),
    Case(
        "shapes that are computed",
        """(float[2,3,4] x) => (float[2,12] y) {
            i = Constant <value_int = 0> () z = Constant <value_ints = [0]> ()
            m = Constant <value_ints = [-1]> ()
            s = Shape(x) g = Gather(s, i) u = Unsqueeze(g, z) c = Concat <axis = 0> (u, m)
            y = Reshape(x, c) }""",
        "Reshape",
    ),
    Case(
        "equal branches are computed once",
        "(float[2,3] x) => (float[2,3] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }",
        "Exp Add",
    ),
    Case(
        "a sequence of tensors",
        """(float[2,3] x) => (float[4,3] y) {
            a = Relu(x) s = SequenceConstruct(x, a) y = ConcatFromSequence <axis = 0> (s) }""",
        "Relu Concat",
    ),
    Case(
        "global pooling",
        """(float[1,4,6,5] x) => (float[1,4,1,1] y, float[1,4,1,1] z) {
            y = GlobalAveragePool(x) z = GlobalMaxPool(x) }""",
        "ReduceMean ReduceMax",
    ),
    Case(
        "group normalization",
        """(float[2,8,4,4] x, float[8] w1, float[8] w2) => (float[2,8,4,4] y) {
            y = GroupNormalization <num_groups = 2> (x, w1, w2) }""",
        "Reshape InstanceNormalization Reshape Conv",
        21,
    ),
    Case(
        "mean-variance normalization of one image",
        "(float[1,4,6,6] x) => (float[1,4,6,6] y) { y = MeanVarianceNormalization(x) }",
        "ReduceMean Sub Mul ReduceMean Sqrt Add Div",
    ),
    Case("mish", "(float[2,8] x) => (float[2,8] y) { y = Mish(x) }", "Softplus Tanh Mul", 18),
    Case(
        "a lone error function",
        "(float[64,8] x) => (float[64,8] y) { y = Erf(x) }",
        "Clip Mul Mul Add Mul Add Mul Tanh",
    ),
    Case(
        "powers",
        """(float[2,8] x) => (float[2,8] y) {
            two = Constant <value_float = 2.0> () half = Constant <value_float = 0.5> ()
            a = Pow(x, two) y = Pow(a, half) }""",
        "Mul Sqrt",
    ),
    Case(
        "reductions that the NPU lacks",
        """(float[2,8,3] x) => (float[2,3] a, float[2,1,3] b, float[2,3] c) {
            a = ReduceL1 <axes = [1], keepdims = 0> (x) b = ReduceSumSquare <axes = [1]> (x)
            d = Abs(x) c = ReduceLogSum <axes = [1], keepdims = 0> (d) }""",
        "Abs ReduceSum Mul ReduceSum Log",
    ),
    Case(
        "the lower triangle",
        "(float[1,4,4] x) => (float[1,4,4] y) { y = Trilu <upper = 0> (x) }",
        "Where",
    ),
    Case(
        "window partition in six dimensions",
        """(float[1,8,8,4] x) => (float[16,4,4] y) {
            s = Constant <value_ints = [1,4,2,4,2,4]> () t = Constant <value_ints = [16,4,4]> ()
            a = Reshape(x, s) b = Transpose <perm = [0,1,3,2,4,5]> (a) y = Reshape(b, t) }""",
        "Reshape Transpose Reshape",
    ),
    Case(
        "a dilated transposed convolution",
        """(float[1,4,6,6] x, float[4,3,3,3] w) => (float[1,3,10,10] y) {
            y = ConvTranspose <dilations = [2,2]> (x, w) }""",
        "ConvTranspose",
    ),
    Case(
        "an unrolled recurrent layer",
        """(float[2,3,4] x, float[1,5,4] w, float[1,5,5] w1, float[1,10] w2) => (float[1,3,5] y) {
            all, y = RNN <hidden_size = 5> (x, w, w1, w2) }""",
        "Slice Reshape Gemm Tanh Slice Reshape Gemm Gemm Add Tanh Reshape",
    ),
    Case(
        "a sum and a mean of several inputs",
        """(float[2,3] x, float[2,3] z) => (float[2,3] y) {
            a = Sum(x, z, x) b = Sum(a) c = Sin(b) y = Mean(c, z) }""",
        "Add Add Sin Add Mul",
    ),
    Case(
        "a batch normalization that no layer takes in",
        """(float[1,4,6,6] x, float[4] w, float[4] w1, float[4] w2, float[4] w_positive)
            => (float[1,4,6,6] y) {
            a = Sin(x) b = BatchNormalization(a, w, w1, w2, w_positive) y = Relu(b) }""",
        "Sin Conv Relu",
    ),
    Case(
        "negative indices",
        """(float[4,5] x) => (float[4] y) {
            i = Constant <value_int = -1> () y = Gather <axis = -1> (x, i) }""",
        "Gather",
    ),
    Case(
        "products by constants in a row",
        """(float[2,8] x) => (float[2,8] y) {
            a = Constant <value_float = 3.0> () b = Constant <value_float = 0.5> ()
            c = Sin(x) d = Mul(c, a) e = Div(d, b) f = Cos(e) y = Relu(f) }""",
        "Sin Mul Cos Relu",
    ),
    Case(
        "average pooling whose last window ends behind the input",
        """(float[1,2,10,10] x) => (float[1,2,5,5] y) {
            y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x) }""",
        "AveragePool Mul",
        19,
    ),
    Case(
        "average pooling with a wide padding that does not count",
        """(float[1,2,10,10] x) => (float[1,2,12,12] y) {
            y = AveragePool <kernel_shape = [3, 3], pads = [2, 2, 2, 2]> (x) }""",
        "AveragePool Mul",
        19,
    ),
    Case(
        "elements scattered to indices counted from the end",
        """(float[3,4] x, float[1,2] u) => (float[3,4] y)
            <int64[1,2] i = {-1, 1}, float[1] k = {2.0}> {
            a = Mul(x, k) y = ScatterElements <axis = 1> (a, i, u) }""",
        "Mul ScatterElements",
        18,
    ),
    Case(
        "a long filter with a short stride, padding and a bias",
        """(float[2,1,203] x, float[3,1,40] w, float[3] wb) => (float[2,3,86] y) {
            y = Conv <strides = [2], pads = [3, 5]> (x, w, wb) }""",
        "Reshape Pad Reshape Transpose Conv Transpose Reshape Slice Transpose",
    ),
    Case(
        "a long filter whose stride is a prime number stays",
        """(float[1,1,2000] x, float[2,1,40] w) => (float[1,2,15] y) {
            y = Conv <strides = [131]> (x, w) }""",
        "Conv",
    ),
    Case(
        "a bank of long filters with the stride of a frame",
        """(float[1,1,1,1000] x, float[8,1,1,256] w) => (float[1,8,1,6] y) {
            y = Conv <strides = [1, 128]> (x, w) }""",
        "Reshape Slice Reshape Transpose Conv",
    ),
    Case(
        "maximum pooling that rounds up to a window behind the input",
        """(float[1,2,8,8] x) => (float[1,2,3,3] y) {
            y = MaxPool <kernel_shape = [1, 1], strides = [3, 3], ceil_mode = 1> (x) }""",
        "MaxPool",
        22,
    ),
    Case(
        "nearest samples of a size that is no multiple",
        """(float[1,2,4,6] x) => (float[1,2,7,3] y)
            <int64[4] sizes = {1, 2, 7, 3}> {
            y = Resize <nearest_mode = "floor", coordinate_transformation_mode = "asymmetric">
                (x, , , sizes) }""",
        "Gather Slice",
        19,
    ),
    Case(
        "nearest samples by a scale that is not the ratio of the sizes",
        """(float[1,2,4,4] x) => (float[1,2,2,2] y) <float[4] scales = {1.0, 1.0, 0.6, 0.6}> {
            y = Resize (x, , scales) }""",
        "Slice Slice",
        19,
    ),
    Case(
        "linear samples by a scale that is not the ratio of the sizes",
        """(float[1,2,4,12] x) => (float[1,2,8,20] y) <float[4] scales = {1.0, 1.0, 2.0, 1.7}> {
            y = Resize <mode = "linear"> (x, , scales) }""",
        "Transpose Reshape Gemm Reshape Transpose Reshape Gemm Reshape",
        19,
    ),
    Case(
        "nearest samples of twice the size",
        """(float[1,2,4,4] x) => (float[1,2,8,8] y) <float[4] scales = {1.0, 1.0, 2.0, 2.0}> {
            y = Resize (x, , scales) }""",
        "Resize",
        19,
    ),
    Case(
        "average pooling that rounds up to no window more",
        """(float[1,2,10,10] x) => (float[1,2,5,5] y) {
            y = AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x) }""",
        "AveragePool",
        19,
    ),
    Case(
        "padding of LpPool",
        """(float[1,2,9,9] x) => (float[1,2,9,9] y) {
            y = LpPool <kernel_shape = [2, 2], pads = [0, 0, 1, 1]> (x) }""",
        "Conv LpPool",
        18,
    ),
    Case(
        "sums along an axis that is not the last",
        """(float[2,5,6] x) => (float[2,5,6] y) {
            k = Constant <value_int = 1> () y = CumSum <exclusive = 1> (x, k) }""",
        "Transpose CumSum Transpose Sub",
    ),
    Case(
        "powers of one number, and of a row",
        """(float[4,5] x, float[5] z) => (float[4,5] y, float[4,5] v) <float two = {2.0}> {
            y = Pow(two, x) a = Exp(z) v = Pow(a, x) }""",
        "Pow Exp Expand Pow",
    ),
    Case(
        "windows of an attention with a past",
        """(float[1,2,5,8] q, float[1,2,7,8] k, float[1,2,7,8] v, float[1,2,3,8] pk,
            float[1,2,3,8] pv) => (float[1,2,5,8] y, float[1,2,10,8] nk, float[1,2,10,8] nv) {
            y, nk, nv = Attention <left_window_size = 1, right_window_size = 0> (q, k, v, , pk, pv)
            }""",
        "Attention",
        25,
    ),
    Case(
        "indices that are fed",
        """(float[4,5] x, int64[2,3] i) => (float[2,3,5] y) { y = Gather(x, i) }""",
        "Mod Gather",
    ),
    Case(
        "queries, keys and values as slices of a transpose of 5 dimensions",
        """(float[1,4,12] x, float[12,36] w1, float[36] w2) => (float[1,2,4,4] y) {
            m = MatMul(x, w1) a = Add(w2, m)
            s = Constant <value_ints = [1, 4, 3, 2, 6]> () r = Reshape(a, s)
            t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
            i = Constant <value_ints = [0]> () j = Constant <value_ints = [1]> ()
            k = Constant <value_ints = [2]> ()
            q4 = Slice(t, i, j, i) k4 = Slice(t, j, k, i)
            q = Squeeze(q4, i) h = Squeeze(k4, i) z = Transpose <perm = [0, 1, 3, 2]> (h)
            y = MatMul(q, z) }""",
        "Reshape Gemm Reshape Transpose Gemm Reshape Transpose Reshape Reshape Transpose MatMul",
    ),
    Case(
        "tokens count from the front",
        """(int64[1,4] x) => (float[1,4,2] y) {
            table = Constant <value = float[3,2] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}> ()
            y = Gather(table, x) }""",
        "Gather",
    ),
    Case(
        "indices of points that are fed",
        """(float[4,5,6] x, int32[7,2] i) => (float[7,6] y) {
            j = Cast <to = 7> (i) y = GatherND(x, j) }""",
        "Cast Mod GatherND",
    ),
    Case(
        "indices that are places of maxima",
        """(float[4,5] x, float[3,4] z) => (float[3,5] y) {
            i = ArgMax <axis = -1, keepdims = 0> (z) y = Gather(x, i) }""",
        "ArgMax Gather",
    ),
    Case(
        "padding behind the rows and the columns of an image",
        """(float[1,2,5,6] x) => (float[1,2,6,8] y) <int64[8] p = {0, 0, 0, 0, 0, 0, 1, 2}> {
            a = Sin(x) b = Pad(a, p) y = Cos(b) }""",
        "Sin Conv Cos",
    ),
    Case(
        "padding behind two axes of a sequence",
        """(float[2,5,6] x) => (float[2,6,8] y) <int64[4] p = {0, 0, 1, 2}, int64[2] a = {1, -1},
            float v = {2.0}> { b = Sin(x) c = Pad(b, p, v, a) y = Cos(c) }""",
        "Sin Reshape Pad Reshape Cos",
        18,
    ),
    Case(
        "a depthwise convolution of two taps and stride two over few channels",
        """(float[1,3,6,7] x, float[3,1,2,2] w) => (float[1,3,3,3] y) {
            y = Conv <strides = [2, 2], group = 3> (x, w) }""",
        "Conv",
    ),
    Case(
        "average pooling side by side, with padding that counts and an end that no window reads",
        """(float[1,2,13,10] x) => (float[1,2,3,2] y) {
            y = AveragePool <kernel_shape = [4, 4], strides = [4, 4], pads = [1, 1, 1, 1],
                count_include_pad = 1> (x) }""",
        "Pad Slice AveragePool AveragePool",
    ),
    Case(
        "average pooling of windows of an even size side by side",
        """(float[1,2,12,24] x) => (float[1,2,1,2] y) {
            y = AveragePool <kernel_shape = [12, 12], strides = [12, 12]> (x) }""",
        "AveragePool AveragePool AveragePool",
    ),
    Case(
        "average pooling of a volume with padding that counts",
        """(float[1,2,6,6,6] x) => (float[1,2,3,3,3] y) {
            y = AveragePool <kernel_shape = [3, 3, 3], strides = [2, 2, 2],
                pads = [1, 1, 1, 1, 1, 1], count_include_pad = 1> (x) }""",
        "AveragePool Mul",
    ),
    Case(
        "maximum pooling whose declared shape has a window too many",
        """(float[1,2,10,11] x) => (float[1,2,rows,columns] y) {
            y = MaxPool <kernel_shape = [2, 2], strides = [5, 5], ceil_mode = 1> (x) }""",
        "MaxPool",
    ),
    Case(
        "output padding of a transposed convolution",
        """(float[1,4,6,5] x, float[4,3,3,3] w) => (float[1,3,19,13] y) {
            y = ConvTranspose <strides = [3, 3], pads = [0, 1, 0, 1],
                output_padding = [1, 0]> (x, w) }""",
        "ConvTranspose",
    ),
    Case(
        "output padding that is no longer than the padding behind, of a computed kernel",
        """(float[1,4,6,5] x, float[4,1,3,3] k) => (float[1,4,12,10] y) {
            y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1],
                group = 4> (x, k) }""",
        "ConvTranspose",
    ),
    Case(
        "a depthwise transposed convolution of five taps",
        """(float[1,4,6,5] x, float[4,1,5,5] w, float[4] wb) => (float[1,4,15,13] y) {
            y = ConvTranspose <strides = [2, 2], group = 4> (x, w, wb) }""",
        "ConvTranspose",
    ),
    Case(
        "a grouped transposed convolution over volumes",
        """(float[1,4,3,4,5] x, float[4,3,2,2,2] w) => (float[1,6,6,8,10] y) {
            y = ConvTranspose <strides = [2, 2, 2], group = 2> (x, w) }""",
        "ConvTranspose",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_rewrites_to_these_operators_and_computes_the_same(case: Case) -> None:
    _, operators = prepared_from(case.text, case.opset)
    assert " ".join(operators) == case.operators


def test_every_rewrite_has_a_summary_of_one_line_and_a_numbered_contract() -> None:
    import importlib

    for item in all_passes():
        module = importlib.import_module(f"{item.apply.__module__}")
        assert item.summary.endswith(".")
        assert len(item.summary) < 100
        assert "\n1. " in (module.__doc__ or ""), item.name


def test_a_skipped_rewrite_does_not_apply() -> None:
    silu = next(case for case in CASES if case.claim == "SiLU")
    prepared = prepare(build(silu.text), {}, skip=["fuse_swish"])
    assert [node.op_type for node in prepared.model.graph] == ["Sigmoid", "Mul"]


def test_an_unknown_name_to_skip_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'fuse_gelu'"):
        prepare(build(CASES[3].text), {}, skip=["fuse_geluu"])
