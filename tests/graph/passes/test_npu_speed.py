"""Passes that give operators a form that the NPU computes faster."""

from __future__ import annotations

import pytest

from snapq.devices.profiles import find
from snapq.graph.prepare import prepare
from snapq.npu.model import Model
from tests.graph.models import build, prepared_from
from tests.graph.passes.cases import Case, check, names

HEAD = " Transpose Reshape Mul Reshape MatMul Softmax Transpose Reshape MatMul Reshape Transpose"
CASES = [
    Case(
        "flatten_gemm_rows",
        "product of rows and weights with a bias",
        """(float[2,3,8] x, float[8,5] w, float[5] w1) => (float[2,3,5] y) {
            a = MatMul(x, w) y = Add(w1, a) }""",
        "Reshape Gemm Reshape",
    ),
    Case(
        "join_scattered_parts",
        "a box inside a map",
        """(float[1,4,4] x, float[1,2,2] u) => (float[1,4,4] y)
            <int64[1,2,2,3] i = {0, 1, 0, 0, 1, 1, 0, 2, 0, 0, 2, 1}> {
            y = ScatterND (x, i, u) }""",
        "Slice Slice Concat Slice Concat",
    ),
    Case(
        "join_scattered_parts",
        "two columns beside one that an earlier node put in place",
        """(float[3,4] x, float[3,2] u, float[3,2] v) => (float[3,4] y)
            <int64[3,2] i = {0, 3, 0, 3, 0, 3}, int64[3,2] j = {-2, 3, 2, 3, 2, 3}> {
            a = ScatterElements <axis = 1> (x, i, u)
            y = ScatterElements <axis = 1> (a, j, v) }""",
        "Slice Slice Concat",
    ),
    Case(
        "join_scattered_parts",
        "rows that change places, of which others are put in place again",
        """(float[4,3] x, float[2,3] u, float[4,2] v) => (float[4,3] y)
            <int64[2,1] i = {2, 1}, int64[4,2] j = {1, 0, 1, 0, 1, 0, 1, 0}> {
            a = ScatterND (x, i, u) y = ScatterElements <axis = 1> (a, j, v) }""",
        "Slice Slice Concat Slice Slice Slice Concat Slice Concat Concat",
    ),
    Case(
        "join_scattered_parts",
        "what goes to every second row stays",
        """(float[30,4] x, float[15,4] u) => (float[30,4] y)
            <int64[15,1] i = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28}> {
            y = ScatterND (x, i, u) }""",
        "ScatterND",
        applies=False,
    ),
    Case(
        "lower_long_conv1d_to_matmul",
        "a long filter with a short stride, padding and a bias",
        """(float[2,1,203] x, float[3,1,40] w, float[3] wb) => (float[2,3,86] y) {
            y = Conv <strides = [2], pads = [3, 5]> (x, w, wb) }""",
        "Reshape Pad Reshape Transpose Conv Transpose Reshape Slice Transpose",
    ),
    Case(
        "lower_long_conv1d_to_matmul",
        "a long filter whose stride is a prime number stays",
        """(float[1,1,2000] x, float[2,1,40] w) => (float[1,2,15] y) {
            y = Conv <strides = [131]> (x, w) }""",
        "Conv",
        applies=False,
    ),
    Case(
        "lower_long_conv1d_to_matmul",
        "a bank of long filters with the stride of a frame",
        """(float[1,1,1,1000] x, float[8,1,1,256] w) => (float[1,8,1,6] y) {
            y = Conv <strides = [1, 128]> (x, w) }""",
        "Reshape Slice Reshape Transpose Conv",
    ),
    Case(
        "replace_global_pool_with_reduce",
        "global pooling",
        """(float[1,4,6,5] x) => (float[1,4,1,1] y, float[1,4,1,1] z) {
            y = GlobalAveragePool(x) z = GlobalMaxPool(x) }""",
        "ReduceMean ReduceMax",
    ),
    Case(
        "permute_depth_to_space",
        "pixels that are shuffled behind a Conv and a Clip",
        """(float[1,2,3,4] x, float[12,2,1,1] w, float[12] wb, float wl, float wh)
            => (float[1,3,6,8] y) { c = Conv(x, w, wb) r = Clip(c, wl, wh)
            y = DepthToSpace <blocksize = 2, mode = "CRD"> (r) }""",
        "Conv Clip DepthToSpace",
    ),
    Case(
        "permute_depth_to_space",
        "pixels that are shuffled behind the sum of two Convs",
        """(float[1,2,3,4] x, float[12,2,1,1] w, float[12] wb, float[12,2,3,3] w3)
            => (float[1,3,6,8] y) { c = Conv(x, w, wb) d = Conv <pads = [1, 1, 1, 1]> (x, w3)
            s = Add(c, d) y = DepthToSpace <blocksize = 2, mode = "CRD"> (s) }""",
        "Conv Conv Add DepthToSpace",
    ),
    Case(
        "permute_depth_to_space",
        "a sum with what no Conv makes",
        """(float[1,2,3,4] x, float[12,2,1,1] w, float[1,12,3,4] z) => (float[1,3,6,8] y) {
            c = Conv(x, w) s = Add(c, z) y = DepthToSpace <blocksize = 2, mode = "CRD"> (s) }""",
        "Conv Add DepthToSpace",
        applies=False,
    ),
    Case(
        "permute_depth_to_space",
        "groups, whose channels cannot change places",
        """(float[1,4,3,4] x, float[12,2,1,1] w) => (float[1,3,6,8] y) {
            c = Conv <group = 2> (x, w) y = DepthToSpace <blocksize = 2, mode = "CRD"> (c) }""",
        "Conv DepthToSpace",
        applies=False,
    ),
    Case(
        "slices_to_space_to_depth",
        "the stem of YOLOX, rows before columns, in front of a Conv",
        """(float[1,3,8,6] x, float[5,12,3,3] w) => (float[1,5,4,3] y) {
            s = Constant <value_ints = [2]> () o = Constant <value_ints = [0]> ()
            i = Constant <value_ints = [1]> () e = Constant <value_ints = [1000]> ()
            h = Constant <value_ints = [2]> () v = Constant <value_ints = [-1]> ()
            a = Slice(x, o, e, h, s) b = Slice(x, i, e, h, s) a0 = Slice(a, o, e, v, s)
            a1 = Slice(a, i, e, v, s) b0 = Slice(b, o, e, v, s) b1 = Slice(b, i, e, v, s)
            c = Concat <axis = 1> (a0, b0, a1, b1) y = Conv <pads = [1, 1, 1, 1]> (c, w) }""",
        "SpaceToDepth Conv",
    ),
    Case(
        "slices_to_space_to_depth",
        "pixels in the operator's own order",
        """(float[1,3,8,6] x) => (float[1,12,4,3] y) {
            s = Constant <value_ints = [2]> () o = Constant <value_ints = [0]> ()
            i = Constant <value_ints = [1]> () e = Constant <value_ints = [1000]> ()
            h = Constant <value_ints = [2]> () v = Constant <value_ints = [-1]> ()
            a = Slice(x, o, e, h, s) b = Slice(x, i, e, h, s) a0 = Slice(a, o, e, v, s)
            a1 = Slice(a, i, e, v, s) b0 = Slice(b, o, e, v, s) b1 = Slice(b, i, e, v, s)
            y = Concat <axis = 1> (a0, a1, b0, b1) }""",
        "SpaceToDepth",
    ),
    Case(
        "slices_to_space_to_depth",
        "pixels in another order that no Conv takes",
        """(float[1,3,8,6] x) => (float[1,12,4,3] y) {
            s = Constant <value_ints = [2]> () o = Constant <value_ints = [0]> ()
            i = Constant <value_ints = [1]> () e = Constant <value_ints = [1000]> ()
            h = Constant <value_ints = [2]> () v = Constant <value_ints = [-1]> ()
            a = Slice(x, o, e, h, s) b = Slice(x, i, e, h, s) a0 = Slice(a, o, e, v, s)
            a1 = Slice(a, i, e, v, s) b0 = Slice(b, o, e, v, s) b1 = Slice(b, i, e, v, s)
            y = Concat <axis = 1> (a0, b0, a1, b1) }""",
        "SpaceToDepth Split Concat",
    ),
    Case(
        "slices_to_space_to_depth",
        "pixels one of which comes twice",
        """(float[1,3,8,6] x) => (float[1,12,4,3] y) {
            s = Constant <value_ints = [2]> () o = Constant <value_ints = [0]> ()
            i = Constant <value_ints = [1]> () e = Constant <value_ints = [1000]> ()
            h = Constant <value_ints = [2]> () v = Constant <value_ints = [-1]> ()
            a = Slice(x, o, e, h, s) b = Slice(x, i, e, h, s) a0 = Slice(a, o, e, v, s)
            a1 = Slice(a, i, e, v, s) b0 = Slice(b, o, e, v, s) b1 = Slice(b, i, e, v, s)
            y = Concat <axis = 1> (a0, a1, b0, a0) }""",
        "Slice Slice Slice Slice Slice Concat",
        applies=False,
    ),
    Case(
        "reduce_before_flatten",
        "the best class of each place, and its score",
        """(float[1,5,4,3] x, float[5,5,1,1] w) => (int64[1,12] y, float[1,1,12] z) {
            s = Constant <value_ints = [1, 5, 12]> () c = Conv(x, w) f = Reshape(c, s)
            y = ArgMax <axis = 1, keepdims = 0> (f) z = ReduceMax <axes = [1]> (f) }""",
        "Conv ArgMax Reshape ReduceMax Reshape",
    ),
    Case(
        "reduce_before_flatten",
        "the best class of the places of two scales, and its score, with boxes beside them",
        """(float[1,2,4,3] x, float[1,2,2,2] v, float[9,2,1,1] w, float[1,4,16] b)
            => (int64[1,16] y, float[1,16] z, float[1,16,4] u) {
            s = Constant <value_ints = [1, 9, -1]> () c = Conv(x, w) d = Conv(v, w)
            e = Reshape(c, s) f = Reshape(d, s) g = Concat <axis = 2> (e, f) h = Sigmoid(g)
            i = Concat <axis = 1> (b, h) t = Transpose <perm = [0, 2, 1]> (i)
            o = Constant <value_ints = [0]> () p = Constant <value_ints = [4]> ()
            q = Constant <value_ints = [13]> () a = Constant <value_ints = [2]> ()
            u = Slice(t, o, p, a) k = Slice(t, p, q, a)
            y = ArgMax <axis = 2, keepdims = 0> (k)
            z = ReduceMax <axes = [2], keepdims = 0> (k) }""",
        "Conv Conv Transpose Sigmoid ArgMax Reshape Sigmoid ArgMax Reshape Concat "
        "ReduceMax Reshape ReduceMax Reshape Concat",
    ),
    Case(
        "reduce_before_flatten",
        "scores that are an output too",
        """(float[1,2,4,3] x, float[1,2,2,2] v, float[9,2,1,1] w)
            => (int64[1,16] y, float[1,9,16] g) {
            s = Constant <value_ints = [1, 9, -1]> () c = Conv(x, w) d = Conv(v, w)
            e = Reshape(c, s) f = Reshape(d, s) g = Concat <axis = 2> (e, f)
            y = ArgMax <axis = 1, keepdims = 0> (g) }""",
        "Conv Conv Reshape Reshape Concat ArgMax",
        applies=False,
    ),
    Case(
        "reduce_before_flatten",
        "the best place of each class stays",
        """(float[1,5,4,3] x, float[5,5,1,1] w) => (int64[1,5] y) {
            s = Constant <value_ints = [1, 5, 12]> () c = Conv(x, w) f = Reshape(c, s)
            y = ArgMax <axis = 2, keepdims = 0> (f) }""",
        "Conv Reshape ArgMax",
        applies=False,
    ),
    Case(
        "search_long_row_in_steps",
        "the best of very many classes, several of which are equal",
        """(float[1,1,3] x, float[3,9000] w) => (int64[1] y, int64[1,1] z) {
            s = Constant <value_ints = [1, 9000]> () a = MatMul(x, w) b = Ceil(a) c = Reshape(b, s)
            y = ArgMax <axis = 1, keepdims = 0> (c) z = ArgMin <axis = 1> (c) }""",
        "Reshape Gemm Reshape Ceil Reshape ReduceMax ArgMax Cast Gather ArgMax Mul Cast Add Cast "
        "ReduceMin ArgMin Cast Gather ArgMin Mul Cast Add Cast Reshape",
    ),
    Case(
        "search_long_row_in_steps",
        "the peaks of maps",
        """(float[1,3,4096] x) => (float[1,3] y) {
            y = ReduceMax <axes = [2], keepdims = 0> (x) }""",
        "Reshape ReduceMax ReduceMax",
    ),
    Case(
        "search_long_row_in_steps",
        "classes of several rows stay",
        """(float[2,9000] x) => (int64[2] y) { y = ArgMax <axis = 1, keepdims = 0> (x) }""",
        "ArgMax",
        applies=False,
    ),
    Case(
        "search_best_one",
        "the best and the worst rows, several of which are equal",
        """(float[4,3] x) => (float[1,3] v, int64[1,3] i, int64[4,1] j)
            <int64[1] k = {1}> { a = Ceil(x) v, i = TopK <axis = 0> (a, k)
            w, j = TopK <axis = 1, largest = 0> (a, k) }""",
        "Ceil ArgMax ReduceMax ArgMin",
    ),
    Case(
        "attend_few_rows_at_once",
        "attention of two queries over many keys",
        """(float[2,6] x, float[40,6] u, float[40,6] z) => (float[2,6] y) {
            a = Constant <value_ints = [2, 2, 3]> () b = Constant <value_ints = [40, 2, 3]> ()
            j = Constant <value_ints = [2, 6]> () q = Reshape(x, a)
            k = Reshape(u, b) v = Reshape(z, b) qh = Transpose <perm = [1, 0, 2]> (q)
            kh = Transpose <perm = [1, 2, 0]> (k) vh = Transpose <perm = [1, 0, 2]> (v)
            s = MatMul(qh, kh) e = Constant <value_float = 0.5> () f = Mul(s, e)
            p = Softmax <axis = -1> (f) o = MatMul(p, vh) t = Transpose <perm = [1, 0, 2]> (o)
            y = Reshape(t, j) }""",
        "Reshape Mul Reshape Transpose MatMul Transpose Mul Softmax MatMul Reshape Mul ReduceSum",
    ),
    Case(
        "attend_few_rows_at_once",
        "attention of many queries over two keys",
        """(float[40,6] x, float[2,6] u, float[2,6] z) => (float[40,6] y) {
            a = Constant <value_ints = [40, 2, 3]> () b = Constant <value_ints = [2, 2, 3]> ()
            j = Constant <value_ints = [40, 6]> () q = Reshape(x, a)
            k = Reshape(u, b) v = Reshape(z, b) qh = Transpose <perm = [1, 0, 2]> (q)
            kh = Transpose <perm = [1, 2, 0]> (k) vh = Transpose <perm = [1, 0, 2]> (v)
            s = MatMul(qh, kh) e = Constant <value_float = 0.5> () f = Mul(s, e)
            p = Softmax <axis = -1> (f) o = MatMul(p, vh) t = Transpose <perm = [1, 0, 2]> (o)
            y = Reshape(t, j) }""",
        "Transpose Mul MatMul Mul Softmax Mul Mul MatMul Mul Softmax Mul Concat Concat MatMul",
    ),
    Case(
        "attend_few_rows_at_once",
        "twice as many keys as queries stay in heads",
        """(float[20,6] x, float[40,6] u, float[40,6] z) => (float[20,6] y) {
            a = Constant <value_ints = [20, 2, 3]> () b = Constant <value_ints = [40, 2, 3]> ()
            j = Constant <value_ints = [20, 6]> () q = Reshape(x, a)
            k = Reshape(u, b) v = Reshape(z, b) qh = Transpose <perm = [1, 0, 2]> (q)
            kh = Transpose <perm = [1, 2, 0]> (k) vh = Transpose <perm = [1, 0, 2]> (v)
            s = MatMul(qh, kh) e = Constant <value_float = 0.5> () f = Mul(s, e)
            p = Softmax <axis = -1> (f) o = MatMul(p, vh) t = Transpose <perm = [1, 0, 2]> (o)
            y = Reshape(t, j) }""",
        "Reshape Reshape Reshape Transpose Transpose Transpose MatMul Mul Softmax MatMul "
        "Transpose Reshape",
        applies=False,
    ),
    Case(
        "flatten_maps_channels_last",
        "rows of a map that is an input, with a number added to each channel",
        """(float[1,5,4,3] x, float[1,5,1,1] w) => (float[1,12,5] y) {
            s = Constant <value_ints = [1, 5, 12]> () a = Add(w, x) f = Reshape(a, s)
            y = Transpose <perm = [0, 2, 1]> (f) }""",
        "Transpose Reshape Add",
    ),
    Case(
        "flatten_maps_channels_last",
        "rows of what a Conv makes stay",
        """(float[1,5,4,3] x, float[5,5,1,1] w) => (float[1,12,5] y) {
            s = Constant <value_ints = [1, 5, 12]> () a = Conv(x, w) f = Reshape(a, s)
            y = Transpose <perm = [0, 2, 1]> (f) }""",
        "Conv Reshape Transpose",
        applies=False,
    ),
    Case(
        "compose_affine_rows",
        "centers and sizes of boxes of distances to anchors, with strides",
        """(float[1,4,300] x, float[1,2,300] w1, float[300] w2) => (float[1,300,4] y) {
            a, b = Split <axis = 1, num_outputs = 2> (x) p = Sub(w1, a) q = Add(w1, b)
            c = Add(p, q) s = Sub(q, p) j = Concat <axis = 1> (c, s) m = Mul(j, w2)
            y = Transpose <perm = [0, 2, 1]> (m) }""",
        "Mul Transpose Reshape Gemm Reshape Transpose Add Transpose",
        18,
    ),
    Case(
        "compose_affine_rows",
        "corners of boxes by way of centers and sizes",
        """(float[1,300,4] x, float[1,300,2] w1, float[300,1] w_positive) => (float[1,300,4] y) {
            o = Constant <value_ints = [0]> () i = Constant <value_ints = [2]> ()
            e = Constant <value_ints = [4]> () h = Constant <value_float = 2.0> ()
            a = Slice(x, o, i, i) b = Slice(x, i, e, i) p = Sub(w1, a) q = Add(b, w1)
            k = Add(p, q) c = Div(k, h) s = Sub(q, p) f = Mul(c, w_positive)
            g = Mul(s, w_positive) m = Div(g, h) u = Sub(f, m) n = Neg(m) v = Sub(f, n)
            y = Concat <axis = 2> (u, v) }""",
        "Mul Add",
        18,
    ),
    Case(
        "compose_affine_rows",
        "corners of boxes in front of points of two coordinates",
        """(float[1,300,6] x, float[1,300,1,2] w1, float[1,300,3,2] w2) => (float[1,300,6] y) {
            o = Constant <value_ints = [0]> () i = Constant <value_ints = [1]> ()
            e = Constant <value_ints = [2]> () l = Constant <value_ints = [3]> ()
            h = Constant <value_float = 2.0> ()
            s = Constant <value_ints = [1, 300, 3, 2]> ()
            t = Constant <value_ints = [1, 300, 6]> ()
            r = Reshape(x, s) m = Mul(r, w1) a = Add(m, w2)
            c = Slice(a, o, i, e) z = Slice(a, i, e, e) d = Div(z, h) p = Slice(a, e, l, e)
            u = Sub(c, d) v = Add(c, d) j = Concat <axis = 2> (u, v, p) y = Reshape(j, t) }""",
        "Mul Reshape Gemm Reshape Add",
        18,
    ),
    Case(
        "compose_affine_rows",
        "coordinates that change places, a matrix of them",
        """(float[300,4] x, float[300,1] w1, float[300,2,2] w2) => (float[1,300,2,2] y) {
            s = Constant <value_ints = [1, 300, 2, 2]> ()
            f = Mul(x, w1) r = Reshape(f, s)
            a, b = Split <axis = 3, num_outputs = 2> (r) u = Add(b, a) v = Sub(b, a)
            j = Concat <axis = 3> (u, v) y = Add(j, w2) }""",
        "Reshape Mul Reshape Gemm Reshape Add Reshape",
        18,
    ),
    Case(
        "compose_affine_rows",
        "a sum that stretches both of its parts, and parts along the places",
        """(float[1,300,2] x, float[1,300,2,2] z) => (float[1,300,2,2] y, float[1,300,2,2] t) {
            s = Constant <value_ints = [1, 300, 1, 2]> ()
            q = Constant <value_ints = [1, 300, 2, 1]> ()
            n = Neg(x) a = Reshape(n, s) b = Reshape(x, q) y = Add(a, b)
            c, d = Split <axis = 1, num_outputs = 2> (z) e = Neg(c) g = Neg(d) h = Neg(e)
            t = Concat <axis = 1> (h, g) }""",
        "Neg Reshape Reshape Add Split Neg Neg Neg Concat",
        18,
        applies=False,
    ),
    Case(
        "compose_affine_rows",
        "sizes that are exponents, and tensors of few places",
        """(float[1,4,300] x, float[1,2,300] w1, float[1,4,30] v, float[1,2,30] w3)
            => (float[1,4,300] y, float[1,4,30] z) {
            a, b = Split <axis = 1, num_outputs = 2> (x) p = Add(w1, a) e = Exp(b)
            q = Mul(e, w1) y = Concat <axis = 1> (p, q)
            c, d = Split <axis = 1, num_outputs = 2> (v) f = Sub(w3, c) g = Add(w3, d)
            h = Mul(f, w3) z = Concat <axis = 1> (h, g) }""",
        "Split Add Exp Mul Concat Split Sub Add Mul Concat",
        18,
        applies=False,
    ),
    Case(
        "join_narrow_axes",
        "points of two coordinates over the size of their anchors",
        """(float[1,300,9,2] x, float[1,300,1,2] v) => (float[1,300,9,2] y) {
            a = Sigmoid(x) b = Sigmoid(v) y = Div(a, b) }""",
        "Sigmoid Sigmoid Reshape Gemm Reshape Div Reshape",
    ),
    Case(
        "join_narrow_axes",
        "points of two coordinates times and plus constants of their anchors",
        """(float[1,300,18] x, float[1,300,1,2] w1, float[1,300,9,2] w2) => (float[1,300,18] y) {
            s = Constant <value_ints = [1, 300, 9, 2]> ()
            f = Constant <value_ints = [1, 300, 18]> ()
            r = Reshape(x, s) a = Mul(w1, r) b = Add(a, w2) y = Reshape(b, f) }""",
        "Reshape Mul Add Reshape",
    ),
    Case(
        "join_narrow_axes",
        "few rows, and wide ones, are stretched as they are",
        """(float[1,9,9,2] x, float[1,9,1,2] v, float[1,300,9,8] w, float[1,300,1,8] u)
            => (float[1,9,9,2] y, float[1,300,9,8] z) { y = Mul(x, v) z = Mul(w, u) }""",
        "Mul Mul",
        applies=False,
    ),
    Case(
        "join_narrow_axes",
        "narrow tensors and one number",
        """(float[40,7,7,1] x, float[1] w) => (float[40,7,7,1] y) {
            a = Sigmoid(x) y = Sub(w, a) }""",
        "Sigmoid Reshape Sub Reshape",
    ),
    Case(
        "join_narrow_axes",
        "places of several levels, plus constants of each query and level",
        """(float[300,48] x, float[300,1,3,1,2] w) => (float[300,48] y) {
            s = Constant <value_ints = [300, 4, 3, 2, 2]> ()
            f = Constant <value_ints = [300, 48]> ()
            r = Reshape(x, s) a = Sub(w, r) y = Reshape(a, f) }""",
        "Sub",
    ),
    Case(
        "join_narrow_axes",
        "the part of a head that is scaled by anchors and shifted by its places",
        """(float[1,3,10,10,8] x, float[1,3,1,1,2] w, float[1,1,10,10,2] w1)
            => (float[1,3,10,10,2] y) {
            s = Constant <value_ints = [5]> () e = Constant <value_ints = [7]> ()
            i = Constant <value_ints = [4]> ()
            a = Slice(x, s, e, i) b = Mul(a, w) y = Add(w1, b) }""",
        "Slice Reshape Mul Add Reshape",
    ),
    Case(
        "slice_picked_rows",
        "the places of two of three levels",
        """(float[10,4,3,2,2] x) => (float[10,4,1,2,2] y, float[10,4,2,2] z) {
            i = Constant <value_ints = [1]> () j = Constant <value_int = -1> ()
            y = Gather <axis = 2> (x, i) z = Gather <axis = -3> (x, j) }""",
        "Reshape Slice Reshape Slice Reshape",
    ),
    Case(
        "slice_picked_rows",
        "the last axis, few dimensions, or wide ones, are gathered",
        """(float[10,4,3,2,2] x, float[4,3,2,2] v, float[9,4,3,2,8] o)
            => (float[10,4,3,2] z, float[4,2,2] u, float[9,4,2,8] t) {
            j = Constant <value_int = 0> () z = Gather <axis = 4> (x, j)
            u = Gather <axis = 1> (v, j) r = Relu(o) t = Gather <axis = 2> (r, j) }""",
        "Gather Gather Relu Gather",
        applies=False,
    ),
    Case(
        "concat_merged_axes",
        "what three levels were sampled to, stacked and merged",
        """(float[2,5,4] a, float[2,5,4] b, float[2,5,4] c) => (float[2,5,12] y, float[2,15,4] z) {
            o = Constant <value_ints = [2]> () p = Constant <value_ints = [1]> ()
            s = Constant <value_ints = [2, 5, 12]> () t = Constant <value_ints = [2, 15, 4]> ()
            d = Unsqueeze(a, o) e = Unsqueeze(b, o) f = Unsqueeze(c, o)
            g = Concat <axis = 2> (d, e, f) y = Reshape(g, s)
            k = Unsqueeze(a, p) l = Unsqueeze(b, p) m = Unsqueeze(c, p)
            n = Concat <axis = 1> (k, l, m) z = Reshape(n, t) }""",
        "Concat Concat",
    ),
    Case(
        "concat_merged_axes",
        "a new axis that another one is merged with, or that stays",
        """(float[2,5,4] a, float[2,5,4] b) => (float[4,5,4] y, float[2,5,2,4] z) {
            o = Constant <value_ints = [1]> () p = Constant <value_ints = [2]> ()
            s = Constant <value_ints = [4, 5, 4]> ()
            d = Unsqueeze(a, o) e = Unsqueeze(b, o) g = Concat <axis = 1> (d, e) y = Reshape(g, s)
            k = Unsqueeze(a, p) l = Unsqueeze(b, p) z = Concat <axis = 2> (k, l) }""",
        "Unsqueeze Unsqueeze Concat Reshape Unsqueeze Unsqueeze Concat",
        applies=False,
    ),
    Case(
        "multiply_channels_last",
        "masks of queries, as a sum over channels",
        """(float[2,5,8] q, float[2,8,4,3] m) => (float[2,5,4,3] y) {
            y = Einsum <equation = "bqc,bchw->bqhw"> (q, m) }""",
        "Transpose Reshape Transpose MatMul Reshape Transpose",
    ),
    Case(
        "multiply_channels_last",
        "the same rows for all samples",
        """(float[1,5,8] q, float[2,8,4,3] m) => (float[2,5,4,3] y) {
            s = Constant <value_ints = [2, 8, 12]> () f = Reshape(m, s) p = MatMul(q, f)
            t = Constant <value_ints = [2, 5, 4, 3]> () y = Reshape(p, t) }""",
        "Transpose Reshape Transpose MatMul Reshape Transpose",
    ),
    Case(
        "multiply_channels_last",
        "rows without a batch",
        """(float[5,8] q, float[2,8,4,3] m) => (float[2,5,4,3] y) {
            s = Constant <value_ints = [2, 8, 12]> () f = Reshape(m, s) p = MatMul(q, f)
            t = Constant <value_ints = [2, 5, 4, 3]> () y = Reshape(p, t) }""",
        "Transpose Reshape Transpose MatMul Reshape Transpose",
    ),
    Case(
        "multiply_channels_last",
        "rows that are one matrix of weights, and a product that is no map",
        """(float[1,8,4,3] m, float[1,8,4,3] n, float[4,8] w, float[1,5,8] q)
            => (float[1,4,4,3] y, float[1,5,6,2] z) {
            s = Constant <value_ints = [1, 8, 12]> () f = Reshape(m, s) p = MatMul(w, f)
            t = Constant <value_ints = [1, 4, 4, 3]> () y = Reshape(p, t)
            g = Reshape(n, s) r = MatMul(q, g)
            u = Constant <value_ints = [1, 5, 6, 2]> () z = Reshape(r, u) }""",
        "Reshape MatMul Reshape Reshape MatMul Reshape",
        applies=False,
    ),
    Case(
        "fill_dilations",
        "two by two taps, and two rows of taps, with a hole between them",
        """(float[1,4,6,5] x, float[8,4,2,2] w1, float[8] w2, float[6,8,2,1] w3)
            => (float[1,6,4,5] y) {
            a = Conv <pads = [1, 1, 1, 1], dilations = [2, 2]> (x, w1, w2) b = Relu(a)
            y = Conv <dilations = [2, 1]> (b, w3) }""",
        "Conv Relu Conv",
    ),
    Case(
        "fill_dilations",
        "three by three taps, and depthwise ones",
        """(float[1,4,6,5] x, float[8,4,3,3] w1, float[8,1,2,2] w2) => (float[1,8,4,3] y) {
            a = Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (x, w1) b = Relu(a)
            y = Conv <dilations = [2, 2], group = 8> (b, w2) }""",
        "Conv Relu Conv",
        applies=False,
    ),
    Case(
        "gather_channels_last",
        "a few columns that are taken twice",
        """(float[1,4,3,5] x) => (float[1,4,3,4] y) {
            i = Constant <value_ints = [0, 0, 3, 4]> () y = Gather <axis = 3> (x, i) }""",
        "Split Concat",
    ),
    Case(
        "gather_channels_last",
        "columns of many channels",
        """(float[1,16,3,9] x) => (float[1,16,3,10] y) {
            i = Constant <value_ints = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8]> ()
            y = Gather <axis = 3> (x, i) }""",
        "Transpose Gather Transpose",
    ),
    Case(
        "gather_channels_last",
        "rows that are long, and columns of few channels",
        """(float[1,16,9,20] x, float[1,4,3,9] z) => (float[1,16,10,20] y, float[1,4,3,10] w) {
            i = Constant <value_ints = [0, 1, 2, 3, 3, 4, 5, 6, 7, 8]> ()
            y = Gather <axis = 2> (x, i) w = Gather <axis = 3> (z, i) }""",
        "Gather Gather",
        applies=False,
    ),
    Case(
        "transpose_channels_last",
        "windows of a map whose channels come first",
        """(float[1,4,8,8] x, float[32,4,1,1] w) => (float[32,4,4,2,2] y) {
            c = Conv(x, w) s = Constant <value_ints = [32, 2, 4, 2, 4]> ()
            r = Reshape(c, s) y = Transpose <perm = [0, 2, 4, 1, 3]> (r) }""",
        "Conv Transpose Reshape Transpose Reshape Transpose Reshape Transpose Reshape",
    ),
    Case(
        "split_deep_transposes",
        "windows in windows, six dimensions that all part",
        """(float[4,4,2,4,2,3] x) => (float[4,2,2,4,4,3] y) {
            y = Transpose <perm = [0, 2, 4, 1, 3, 5]> (x) }""",
        "Reshape Transpose Reshape Transpose Reshape",
    ),
    Case(
        "transpose_channels_last",
        "windows that are put together to a map",
        """(float[2,2,4,4,32] x, float[4,32,1,1] w) => (float[1,4,8,8] y) {
            t = Transpose <perm = [4, 0, 2, 1, 3]> (x)
            s = Constant <value_ints = [1, 32, 8, 8]> () r = Reshape(t, s) y = Conv(r, w) }""",
        "Reshape Transpose Reshape Transpose Conv",
    ),
    Case(
        "transpose_channels_last",
        "a batch of maps in the middle of whose dimensions the longest lies",
        """(float[2,3,40,4,3] x) => (float[3,2,40,3,4] y) {
            y = Transpose <perm = [1, 0, 2, 4, 3]> (x) }""",
        "Reshape Transpose Reshape Transpose Reshape Transpose Reshape Transpose Reshape",
    ),
    Case(
        "transpose_channels_last",
        "heads, long runs, and channels that come last",
        """(float[2,5,3,32] x, float[32,2,4,2,4] v) => (float[2,3,5,32] y, float[2,2,4,4,32] z) {
            y = Transpose <perm = [0, 2, 1, 3]> (x)
            z = Transpose <perm = [1, 3, 2, 4, 0]> (v) }""",
        "Transpose Reshape Transpose Reshape Transpose Reshape",
        applies=False,
    ),
    Case(
        "split_map_attention",
        "queries, keys and values of one layer, and a positional Conv on the values",
        """(float[2,32,3,5] x, float[32,32,1,1] w, float[16,1,3,3] w1, float w2)
            => (float[2,16,3,5] y) {
            c = Conv(x, w) s = Constant <value_ints = [2, 2, 16, 15]> () r = Reshape(c, s)
            n = Constant <value_ints = [4, 4, 8]> () q, k, v = Split <axis = 2> (r, n)
            m = Constant <value_ints = [2, 16, 3, 5]> () vm = Reshape(v, m)
            p = Conv <group = 16, pads = [1, 1, 1, 1]> (vm, w1)
            f = Mul(q, w2) t = Transpose <perm = [0, 1, 3, 2]> (f) a = MatMul(t, k)
            b = Softmax <axis = -1> (a) bt = Transpose <perm = [0, 1, 3, 2]> (b)
            o = MatMul(v, bt) om = Reshape(o, m) y = Add(om, p) }""",
        "Conv Split Concat Conv" + 2 * HEAD + " Concat Add",
    ),
    Case(
        "split_map_attention",
        "maps of their own, scores that are divided, and what comes out with places first",
        """(float[1,8,15] x, float[1,8,3,5] z, float[1,8,15] u, float w) => (float[1,2,15,4] y) {
            s = Constant <value_ints = [1, 2, 4, 15]> ()
            q = Reshape(x, s) k = Reshape(z, s) v = Reshape(u, s)
            t = Transpose <perm = [0, 1, 3, 2]> (q) a = MatMul(t, k) d = Div(a, w)
            b = Softmax(d) vt = Transpose <perm = [0, 1, 3, 2]> (v) y = MatMul(b, vt) }""",
        "Split Split Split" + 2 * " Transpose Reshape MatMul Mul Softmax Transpose MatMul"
        " Transpose" + " Concat Reshape Transpose",
    ),
    Case(
        "split_map_attention",
        "weights that are an output too, and heads that do not come out of channels",
        """(float[1,8,15] x, float[1,4,2,15] z) => (float[1,8,15] y, float[1,2,15,15] b,
            float[1,8,15] w) {
            s = Constant <value_ints = [1, 2, 4, 15]> () m = Constant <value_ints = [1, 8, 15]> ()
            q = Reshape(x, s) t = Transpose <perm = [0, 1, 3, 2]> (q) a = MatMul(t, q)
            b = Softmax(a) bt = Transpose <perm = [0, 1, 3, 2]> (b) o = MatMul(q, bt)
            y = Reshape(o, m)
            h = Transpose <perm = [0, 2, 1, 3]> (z) ht = Transpose <perm = [0, 1, 3, 2]> (h)
            c = MatMul(ht, h) e = Softmax(c) et = Transpose <perm = [0, 1, 3, 2]> (e)
            r = MatMul(h, et) w = Reshape(r, m) }""",
        "Reshape Transpose MatMul Softmax Transpose MatMul Reshape"
        " Transpose Transpose MatMul Softmax Transpose MatMul Reshape",
        applies=False,
    ),
    Case(
        "block_strided_depthwise_conv",
        "a depthwise layer of wide stride, with two outputs a channel",
        """(float[1,6,13,13] x, float[12,1,5,5] w, float[12] wb) => (float[1,12,3,3] y) {
            y = Conv <group = 6, strides = [4, 4]> (x, w, wb) }""",
        "Conv",
    ),
    Case(
        "block_strided_depthwise_conv",
        "depthwise layers of few taps, and of a stride of two",
        """(float[1,6,13,13] x, float[6,1,3,3] w, float[6,1,5,5] w1)
            => (float[1,6,3,3] y, float[1,6,5,5] z) {
            y = Conv <group = 6, strides = [4, 4]> (x, w)
            z = Conv <group = 6, strides = [2, 2]> (x, w1) }""",
        "Conv Conv",
        applies=False,
    ),
    Case(
        "reverse_by_product",
        "columns that are turned round",
        """(float[1,3,4,6] x) => (float[1,3,4,6] y) {
            s = Constant <value_ints = [-1]> () e = Constant <value_ints = [-1000]> ()
            a = Constant <value_ints = [3]> () y = Slice(x, s, e, a, s) }""",
        "Reshape Gemm Reshape",
    ),
    Case(
        "reverse_by_product",
        "rows that are turned round",
        """(float[1,3,4,6] x) => (float[1,3,4,6] y) {
            s = Constant <value_ints = [-1]> () e = Constant <value_ints = [-1000]> ()
            a = Constant <value_ints = [-2]> () y = Slice(x, s, e, a, s) }""",
        "Transpose Reshape Gemm Reshape Transpose",
    ),
    Case(
        "reverse_by_product",
        "channels that are turned round, and rows of which one is left out",
        """(float[1,3,4,6] x) => (float[1,3,4,6] y, float[1,3,3,6] z) {
            s = Constant <value_ints = [-1]> () e = Constant <value_ints = [-1000]> ()
            a = Constant <value_ints = [1]> () y = Slice(x, s, e, a, s)
            t = Constant <value_ints = [-2]> () b = Constant <value_ints = [2]> ()
            z = Slice(x, t, e, b, s) }""",
        "Slice Slice",
        applies=False,
    ),
    Case(
        "shuffle_by_conv",
        "halves that are mixed in front of a Split, in two and in one axis of places",
        """(float[1,6,2,3] x, float[1,6,2,3] v, float[2,12,5] u)
            => (float[1,6,2,3] y, float[1,6,2,3] z, float[2,12,5] t) {
            a = Constant <value_ints = [1, 2, 6, 2, 3]> ()
            b = Constant <value_ints = [1, 12, 2, 3]> ()
            e = Constant <value_ints = [6, 6]> ()
            i = Constant <value_ints = [11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]> ()
            c = Concat <axis = 1> (x, v) r = Reshape(c, a)
            q = Transpose <perm = [0, 2, 1, 3, 4]> (r) s = Reshape(q, b)
            y, z = Split <axis = 1> (s, e) t = Gather <axis = 1> (u, i) }""",
        "Concat Conv Split Conv",
    ),
    Case(
        "shuffle_by_conv",
        "few channels, places that move too, and channels that come twice",
        """(float[1,6,2,2] x, float[1,9,3,3] v)
            => (float[1,6,2,2] y, float[1,9,3,3] z, float[1,9,3,3] t) {
            i = Constant <value_ints = [5, 0, 1, 2, 3, 4]> () y = Gather <axis = 1> (x, i)
            j = Constant <value_ints = [1, 9, 9]> () k = Constant <value_ints = [1, 9, 3, 3]> ()
            r = Reshape(v, j) q = Transpose <perm = [0, 2, 1]> (r) z = Reshape(q, k)
            l = Constant <value_ints = [0, 0, 1, 2, 3, 4, 5, 6, 7]> ()
            t = Gather <axis = 1> (v, l) }""",
        "Gather Transpose Reshape Gather",
        applies=False,
    ),
    Case(
        "split_projections",
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
        "split_projections",
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
        "split_projections",
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
        "split_projections",
        "queries, keys and values as PyTorch's MultiheadAttention packs them",
        """(float[5,2,8] x, float[8,36] w, float[36] wb) => (float[5,2,12] y, float[5,2,12] v) {
            s = Constant <value_ints = [5, 2, 3, 12]> () h = MatMul(x, w) b = Add(h, wb)
            r = Reshape(b, s) a = Constant <value_ints = [0]> () u = Unsqueeze(r, a)
            t = Transpose <perm = [3, 1, 2, 0, 4]> (u)
            d = Constant <value_ints = [3]> () z = Squeeze(t, d)
            i = Constant <value_int = 0> () j = Constant <value_int = 1> ()
            k = Constant <value_int = 2> ()
            q = Gather <axis = 0> (z, i) p = Gather <axis = 0> (z, j) v = Gather <axis = 0> (z, k)
            y = Mul(q, p) }""",
        "Reshape Gemm Reshape Gemm Reshape Gemm Reshape Mul",
    ),
    Case(
        "split_projections",
        "the same of one sequence, whose dimension of size 1 comes and goes",
        """(float[5,1,8] x, float[8,36] w) => (float[2,5,5] y, float[5,1,12] v) {
            s = Constant <value_ints = [5, 1, 3, 12]> () h = MatMul(x, w)
            r = Reshape(h, s) a = Constant <value_ints = [0]> () u = Unsqueeze(r, a)
            t = Transpose <perm = [3, 1, 2, 0, 4]> (u)
            d = Constant <value_ints = [3]> () z = Squeeze(t, d)
            i = Constant <value_int = 0> () j = Constant <value_int = 1> ()
            k = Constant <value_int = 2> ()
            q = Gather <axis = 0> (z, i) p = Gather <axis = 0> (z, j) v = Gather <axis = 0> (z, k)
            c = Constant <value_ints = [5, 2, 6]> () e = Reshape(q, c) f = Reshape(p, c)
            g = Transpose <perm = [1, 0, 2]> (e) l = Transpose <perm = [1, 2, 0]> (f)
            y = MatMul(g, l) }""",
        "Reshape Gemm Gemm Gemm Reshape Reshape Reshape Transpose Transpose MatMul",
    ),
    Case(
        "split_projections",
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
        "split_swish",
        "a Swish",
        "(float[2,8] x) => (float[2,8] y) { y = Swish(x) }",
        "Sigmoid Mul",
        24,
    ),
    Case(
        "split_swish",
        "a Swish with a factor",
        "(float[2,8] x) => (float[2,8] y) { y = Swish <alpha = 3.0> (x) }",
        "Mul Sigmoid Mul",
        24,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)


@pytest.mark.npu
@pytest.mark.parametrize(
    "silu", ["s = Sigmoid(a) b = Mul(a, s)", "b = Swish(a)"], ids=["parts", "operator"]
)
def test_a_silu_in_front_of_halves_takes_the_time_of_its_parts(silu: str) -> None:
    device = find("qcs9075")
    text = """(float[1,32,16,16] x, float[64,32,1,1] w, float[64] wb) => (float[1,64,16,16] y) {{
        a = Conv(x, w, wb) {silu} c, d = Split <axis = 1, num_outputs = 2> (b)
        y = Concat <axis = 1> (d, c) }}"""
    parts = Model(build(text.format(silu="s = Sigmoid(a) b = Mul(a, s)"), 24), device).estimate()
    prepared = prepare(build(text.format(silu=silu), 24), {}).model
    assert Model(prepared, device).estimate().cycles <= parts.cycles


def test_steps_that_meet_again_and_again_are_each_looked_at_once() -> None:
    links = [f"m{i} = Mul(a{i}, w) a{i + 1} = Add(m{i}, a{i})" for i in range(40)]
    text = f"""(float[1,4,512] x, float[1,4,512] w) => (float[1,4,512] y) {{
        a0 = Neg(x) {" ".join(links)} y = Sigmoid(a40) }}"""
    _, operators = prepared_from(text)  # 2 to the power of 40 ways lead to the end
    assert operators.count("Sigmoid") == 1
