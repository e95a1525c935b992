"""Passes that write operators that the NPU lacks with others."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
    Case(
        "lower_boolean_equality",
        "truth values that are compared with constants and with each other",
        """(float[2,6] x, float[2,6] z) => (bool[2,6] y, bool[2,6] w, bool[2,6] v)
            <bool one = {1}, bool none = {0}> {
            a = Greater(x, z) b = Less(x, z) c = Equal(one, a) d = Equal(b, none)
            y = And(c, d) w = Equal(a, none) v = Equal(a, b) }""",
        "Greater Less Not And Not Xor Not",
    ),
    Case(
        "flatten_gather_nd",
        "a mask indexed by all its coordinates",
        """(bool[2,3] x) => (bool[2,1,3] y) {
            i = Constant <value = int64[2, 1, 3, 2] {0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2}> ()
            y = GatherND (x, i) }""",
        "Reshape",
    ),
    Case(
        "flatten_gather_nd",
        "some rows by their coordinates, in batches",
        """(float[2,3,4] x) => (float[2,2,4] y) {
            i = Constant <value = int64[2, 2, 1] {2, 0, -1, 1}> ()
            y = GatherND <batch_dims = 1> (x, i) }""",
        "Reshape Gather",
    ),
    Case(
        "flatten_gather_nd",
        "rows by coordinates that are computed",
        """(float[5,3] x, float[2,1,5] z) => (float[2,1,3] y) {
            i = ArgMax <axis = 2, keepdims = 1> (z) y = GatherND (x, i) }""",
        "ArgMax Reshape Gather",
    ),
    Case(
        "flatten_gather_nd",
        "computed rows in a batch of one",
        """(float[1,6,4] x, int64[1,3,1] i) => (float[1,3,4] y) {
            y = GatherND <batch_dims = 1> (x, i) }""",
        "Reshape Reshape Less Where Add Gather Reshape",
    ),
    Case(
        "lower_einsum",
        "masks of queries and a map",
        """(float[1,4,5,8] q, float[1,4,6,8] k) => (float[1,4,5,6] y) {
            y = Einsum <equation = "bhid,bhjd->bhij"> (q, k) }""",
        "Transpose MatMul",
    ),
    Case(
        "lower_activations",
        "mish",
        "(float[2,8] x) => (float[2,8] y) { y = Mish(x) }",
        "Softplus Tanh Mul",
        18,
    ),
    Case(
        "lower_attention_mask",
        "windows of an attention with a past",
        """(float[1,2,5,8] q, float[1,2,7,8] k, float[1,2,7,8] v, float[1,2,3,8] pk,
            float[1,2,3,8] pv) => (float[1,2,5,8] y, float[1,2,10,8] nk, float[1,2,10,8] nv) {
            y, nk, nv = Attention <left_window_size = 1, right_window_size = 0> (q, k, v, , pk, pv)
            }""",
        "Attention",
        25,
    ),
    Case(
        "lower_functions",
        "a lone error function",
        "(float[64,8] x) => (float[64,8] y) { y = Erf(x) }",
        "Clip Mul Mul Add Mul Add Mul Tanh",
    ),
    Case(
        "lower_patches",
        "pictures in patches, as unfold takes them, put together again",
        """(float[1,3,6,4] x) => (float[1,3,6,4] y) {
            r = Constant <value = int64[2, 3] {0, 2, 4, 1, 3, 5}> ()
            c = Constant <value = int64[2, 2] {0, 2, 1, 3}> ()
            s = Constant <value = int64[3] {1, 12, 6}> ()
            image = Constant <value = int64[2] {6, 4}> ()
            block = Constant <value = int64[2] {2, 2}> ()
            rows = Gather <axis = 2> (x, r)
            both = Gather <axis = 4> (rows, c)
            turned = Transpose <perm = [0, 1, 2, 4, 3, 5]> (both)
            flat = Reshape (turned, s)
            act = Softplus (flat)
            y = Col2Im <strides = [2, 2]> (act, image, block) }""",
        "Gather Split Reshape Reshape Reshape Reshape Concat Reshape Transpose Reshape Softplus "
        "Reshape DepthToSpace",
        18,
    ),
    Case(
        "lower_patches",
        "patches that overlap, with borders, that leave a row out",
        """(float[2,12,6] x) => (float[2,2,4,6] y) {
            image = Constant <value = int64[2] {4, 6}> ()
            block = Constant <value = int64[2] {3, 2}> ()
            y = Col2Im <strides = [2, 2], pads = [1, 0, 0, 0], dilations = [1, 1]>
                (x, image, block) }""",
        "Reshape ConvTranspose",
        18,
    ),
    Case(
        "lower_patches",
        "pieces of a signal that overlap",
        """(float[1,6,4] x) => (float[1,2,8] y) {
            length = Constant <value = int64[1] {8}> ()
            block = Constant <value = int64[1] {3}> ()
            y = Col2Im <strides = [2], pads = [1, 0]> (x, length, block) }""",
        "ConvTranspose",
        18,
    ),
    Case(
        "lower_signals",
        "a transform of real numbers along the axis in front",
        """(float[2,12,5,1] x) => (float[2,7,5,2] y) {
            axis = Constant <value = int64 {1}> ()
            y = DFT <onesided = 1> (x, , axis) }""",
        "Transpose Reshape Gemm Reshape Transpose",
        20,
    ),
    Case(
        "lower_signals",
        "the inverse of complex numbers, cut to ten",
        """(float[3,12,2] x) => (float[3,10,2] y) {
            n = Constant <value = int64 {10}> ()
            y = DFT <inverse = 1> (x, n) }""",
        "Transpose Slice Reshape Gemm Reshape Transpose",
        20,
    ),
    Case(
        "lower_signals",
        "a signal of half of its spectrum",
        """(float[3,5,2] x) => (float[3,8,1] y) {
            n = Constant <value = int64 {8}> ()
            y = DFT <inverse = 1, onesided = 1> (x, n) }""",
        "Transpose Reshape Gemm Reshape",
        20,
    ),
    Case(
        "lower_signals",
        "a transform of opset 17 with zeros behind",
        """(float[2,6,1] x) => (float[2,8,2] y) {
            n = Constant <value = int64 {8}> ()
            y = DFT <axis = 1> (x, n) }""",
        "Reshape Gemm Reshape Transpose",
    ),
    Case(
        "lower_signals",
        "frames of a signal under a window",
        """(float[2,40,1] x) => (float[2,9,5,2] y) {
            step = Constant <value = int64 {4}> ()
            w = Constant <value = float[8] {0.1, 0.4, 0.8, 1.0, 1.0, 0.8, 0.4, 0.1}> ()
            y = STFT (x, step, w) }""",
        "Reshape Conv Reshape Transpose",
    ),
    Case(
        "lower_normalizations",
        "group normalization",
        """(float[2,8,4,4] x, float[8] w1, float[8] w2) => (float[2,8,4,4] y) {
            y = GroupNormalization <num_groups = 2> (x, w1, w2) }""",
        "Reshape InstanceNormalization Reshape Conv",
        21,
    ),
    Case(
        "lower_normalizations",
        "mean-variance normalization of one image",
        "(float[1,4,6,6] x) => (float[1,4,6,6] y) { y = MeanVarianceNormalization(x) }",
        "ReduceMean Sub Mul ReduceMean Sqrt Add Div",
    ),
    Case(
        "lower_normalizations",
        "a batch normalization that no layer takes in",
        """(float[1,4,6,6] x, float[4] w, float[4] w1, float[4] w2, float[4] w_positive)
            => (float[1,4,6,6] y) {
            a = Sin(x) b = BatchNormalization(a, w, w1, w2, w_positive) y = Relu(b) }""",
        "Sin Conv Relu",
    ),
    Case(
        "lower_reductions",
        "L2 normalization over channels",
        """(float[1,8,5,6] x) => (float[1,8,5,6] y) {
            y = LpNormalization <axis = 1, p = 2> (x) }""",
        "Transpose LpNormalization Transpose",
    ),
    Case(
        "lower_reductions",
        "reductions that the NPU lacks",
        """(float[2,8,3] x) => (float[2,3] a, float[2,1,3] b, float[2,3] c) {
            a = ReduceL1 <axes = [1], keepdims = 0> (x) b = ReduceSumSquare <axes = [1]> (x)
            d = Abs(x) c = ReduceLogSum <axes = [1], keepdims = 0> (d) }""",
        "Abs ReduceSum Mul ReduceSum Log",
    ),
    Case(
        "lower_shapes",
        "a move of the first of 5 dimensions, of which three stay together",
        """(float[1,5,2,2,3] x) => (float[1,2,5,2,3] y) {
            y = Transpose <perm = [0, 2, 1, 3, 4]> (x) }""",
        "Reshape Transpose Reshape",
    ),
    Case(
        "lower_shapes",
        "a move of 5 dimensions that leaves the first",
        """(float[3,2,4,2,5] x) => (float[3,4,2,2,5] y) {
            y = Transpose <perm = [0, 2, 1, 3, 4]> (x) }""",
        "Reshape Transpose Reshape",
    ),
    Case(
        "reduce_rank",
        "an outer product of five dimensions",
        """(float[3,8,1,4,5] x, float[3,1,6,4,5] z) => (float[3,8,6,4,5] y) { y = Mul(x, z) }""",
        "Reshape Reshape Mul Reshape",
    ),
    Case(
        "lower_shapes",
        "the lower triangle",
        "(float[1,4,4] x) => (float[1,4,4] y) { y = Trilu <upper = 0> (x) }",
        "Where",
    ),
    Case(
        "lower_shapes",
        "window partition in six dimensions",
        """(float[1,8,8,4] x) => (float[16,4,4] y) {
            s = Constant <value_ints = [1,4,2,4,2,4]> () t = Constant <value_ints = [16,4,4]> ()
            a = Reshape(x, s) b = Transpose <perm = [0,1,3,2,4,5]> (a) y = Reshape(b, t) }""",
        "Reshape Transpose Reshape",
    ),
    Case(
        "lower_shapes",
        "a dilated transposed convolution",
        """(float[1,4,6,6] x, float[4,3,3,3] w) => (float[1,3,10,10] y) {
            y = ConvTranspose <dilations = [2,2]> (x, w) }""",
        "ConvTranspose",
    ),
    Case(
        "lower_sum_to_add",
        "a sum and a mean of several inputs",
        """(float[2,3] x, float[2,3] z) => (float[2,3] y) {
            a = Sum(x, z, x) b = Sum(a) c = Sin(b) y = Mean(c, z) }""",
        "Add Add Sin Add Mul",
    ),
    Case(
        "narrow_gathered_labels",
        "the label of the best class",
        """(float[2,3] x) => (int64[2] y) <int64[3] labels = {100, -7, 2147483647}> {
            i = ArgMax <axis = 1, keepdims = 0> (x) y = Gather(labels, i) }""",
        "ArgMax Gather Cast",
    ),
    Case(
        "narrow_gathered_labels",
        "labels beyond 32 bits, and places that something reads",
        """(float[2,3] x) => (int64[2] y, float[2] z)
            <int64[3] labels = {100, -7, 2147483648}, int64[3] more = {0, 1, 2}> {
            i = ArgMax <axis = 1, keepdims = 0> (x) y = Gather(labels, i)
            j = Gather(more, i) z = Cast <to = 1> (j) }""",
        "ArgMax Gather Gather Cast",
        applies=False,
    ),
    Case(
        "reduce_rank",
        "weights of neighbours that are summed up",
        """(float[1,1,9,2,2,4,3] x, float[1,2,9,1,1,4,3] z) => (float[1,2,2,2,4,3] y) {
            s = Softmax <axis = 2> (x) m = Mul(s, z) a = Constant <value_ints = [2]> ()
            y = ReduceSum <keepdims = 0> (m, a) }""",
        "Reshape Softmax Reshape Reshape Mul Reshape ReduceSum Reshape",
    ),
    Case(
        "reduce_rank",
        "a Tanh and a negation over 5 dimensions, and a Sigmoid, which may have them",
        """(float[2,1,3,2,4] x, float[2,3,3,2,4] z) => (float[2,1,3,2,4] y, float[2,3,3,2,4] v) {
            a = Tanh(x) b = Sigmoid(a) y = Relu(b) v = Neg(z) }""",
        "Reshape Tanh Reshape Sigmoid Relu Reshape Neg Reshape",
    ),
    Case(
        "reduce_rank",
        "sampling points over 6 dimensions",
        """(float[5,24] x, float[1,5,4] z) => (float[5,2,2,2] y) {
            s = Constant <value_ints = [1, 5, 2, 3, 2, 2]> () a = Reshape(x, s)
            t = Constant <value_ints = [1, 5, 1, 1, 1, 4]> () b = Reshape(z, t)
            f = Constant <value_ints = [0]> () h = Constant <value_ints = [2]> ()
            e = Constant <value_ints = [4]> () m = Constant <value_ints = [-1]> ()
            p = Slice(b, f, h, m) q = Slice(b, h, e, m) c = Mul(a, q) d = Add(p, c)
            i = Constant <value_int = 1> () g = Gather <axis = 3> (d, i)
            u = Constant <value_ints = [5, 2, 2, 2]> () y = Reshape(g, u) }""",
        "Reshape Slice Slice Reshape Reshape Mul Reshape Add Reshape Slice Reshape",
    ),
    Case(
        "reduce_rank",
        "an element-wise operator over 6 dimensions, broadcast",
        """(float[2,1,3,2,2,4] x, float[3,1,1,4] z) => (float[2,1,3,2,2,4] y) { y = Add(x, z) }""",
        "Reshape Reshape Add Reshape",
    ),
    Case(
        "reduce_rank",
        "a PRelu over 6 dimensions, with a slope a channel",
        """(float[2,1,3,2,2,4] x, float[3,1,1,4] z) => (float[2,1,3,2,2,4] y) {
            y = PRelu(x, z) }""",
        "Reshape Reshape Sub Mul Relu Mul Add Reshape",
    ),
    Case(
        "reduce_rank",
        "a logarithm of sums and a Selu over 6 dimensions",
        """(float[2,2,3,2,2,4] x) => (float[2,2,3,1,1,4] y) {
            a = Constant <value_ints = [3, 4]> () b = Selu(x) y = ReduceLogSumExp (b, a) }""",
        "Reshape Elu Mul ReduceLogSumExp Reshape",
        18,
    ),
    Case(
        "reduce_rank",
        "a mean over two of 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,3,4] y) {
            a = Constant <value_ints = [3, 4]> () y = ReduceMean <keepdims = 0> (x, a) }""",
        "Reshape ReduceMean Reshape",
        18,
    ),
    Case(
        "reduce_rank",
        "a Softmax over 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,3,2,2,4] y) { y = Softmax <axis = 2> (x) }""",
        "Reshape Softmax Reshape",
    ),
    Case(
        "reduce_rank",
        "a Concat over 6 dimensions",
        """(float[2,1,3,2,2,4] x, float[2,1,3,2,2,4] z) => (float[2,2,3,2,2,4] y) {
            y = Concat <axis = 1> (x, z) }""",
        "Reshape Reshape Concat Reshape",
    ),
    Case(
        "reduce_rank",
        "a Split over 6 dimensions",
        """(float[2,1,3,2,2,4] x) => (float[2,1,1,2,2,4] y, float[2,1,2,2,2,4] z) {
            s = Constant <value_ints = [1, 2]> () y, z = Split <axis = 2> (x, s) }""",
        "Reshape Split Reshape Reshape",
    ),
    Case(
        "reduce_rank",
        "a product over 6 dimensions",
        """(float[2,3,1,2,4,3] x, float[2,3,1,2,3,5] z) => (float[2,3,1,2,4,5] y) {
            y = MatMul(x, z) }""",
        "Reshape Reshape MatMul Reshape",
    ),
    Case(
        "reduce_rank",
        "an Expand and a Tile to 6 dimensions",
        """(float[2,3,1,2,1,4] x) => (float[2,3,5,2,1,4] y, float[2,6,1,2,1,4] z) {
            s = Constant <value_ints = [2, 3, 5, 2, 1, 4]> () y = Expand(x, s)
            t = Constant <value_ints = [1, 2, 1, 1, 1, 1]> () z = Tile(x, t) }""",
        "Reshape Expand Reshape Reshape Tile Reshape",
    ),
    Case(
        "reduce_rank",
        "searches and sums over 5 dimensions",
        """(float[2,3,4,2,3] x) => (int64[2,3,4,3] y, float[2,3,2,2,3] v, float[2,3,4,2,3] s) {
            k = Constant <value_ints = [2]> () a = Constant <value_int = 1> ()
            y = ArgMax <axis = 3, keepdims = 0> (x) v, i = TopK <axis = 2> (x, k)
            s = CumSum(x, a) }""",
        "Reshape ArgMax Reshape TopK Reshape Reshape Transpose CumSum Transpose Reshape",
    ),
    Case(
        "reduce_rank",
        "logic and limits over 5 dimensions",
        """(float[2,3,4,2,3] x) => (float[2,3,4,2,3] y) <float low = {-0.5}, float high = {0.7}> {
            c = Clip(x, low, high) g = Greater(x, low) n = Not(g) y = Where(n, x, c) }""",
        "Reshape Clip Reshape Greater Not Reshape Where",
    ),
    Case(
        "reduce_rank",
        "what is reflected along two of 5 dimensions",
        """(float[2,3,4,3,3] x) => (float[2,3,4,5,4] y)
            <int64[10] p = {0, 0, 0, 1, 0, 0, 0, 0, 1, 1}> { y = Pad <mode = "reflect"> (x, p) }""",
        "Reshape Pad Reshape",
    ),
    Case(
        "reduce_rank",
        "elements of 5 dimensions by place, fewer of one",
        """(float[2,3,2,2,4] x, float[2,3,1,2,3] z) => (float[2,3,1,2,1] y, float[2,3,2,2,4] v) {
            i = ArgMax <axis = -1, keepdims = 1> (z) y = GatherElements <axis = 4> (x, i)
            v = ScatterElements <axis = 4> (x, i, y) }""",
        "Reshape ArgMax Reshape Reshape GatherElements Reshape ScatterElements Reshape",
    ),
    Case(
        "lower_volumes",
        "pools over a volume, and over its depth alone",
        """(float[1,2,7,6,5] x) => (float[1,2,3,3,2] y, float[1,2,3,6,5] v) {
            y = MaxPool <kernel_shape = [3, 2, 3], strides = [3, 2, 2], pads = [1, 0, 0, 1, 0, 0]>
                (x)
            v = MaxPool <kernel_shape = [3, 1, 1], dilations = [2, 1, 1]> (x) }""",
        "Reshape MaxPool Reshape MaxPool Reshape Reshape MaxPool Reshape",
    ),
    Case(
        "lower_volumes",
        "linear samples of a volume, by scales and by sizes",
        """(float[1,2,3,4,5] x) => (float[1,2,6,8,10] y, float[1,2,5,4,7] v)
            <float[5] scales = {1.0, 1.0, 2.0, 2.0, 2.0}, int64[5] sizes = {1, 2, 5, 4, 7}> {
            y = Resize <mode = "linear"> (x, , scales)
            v = Resize <mode = "linear", coordinate_transformation_mode = "align_corners">
                (x, , , sizes) }""",
        "Reshape Resize Reshape Resize Reshape Resize Reshape Resize Reshape",
        19,
    ),
    Case(
        "lower_volumes",
        "equal slopes for a volume",
        """(float[1,2,3,4,5] x) => (float[1,2,3,4,5] y)
            <float[1] slope = {0.25}, float[2,1,1,1] slopes = {0.5, 0.5}> {
            a = PRelu(x, slope) y = PRelu(a, slopes) }""",
        "LeakyRelu LeakyRelu",
    ),
    Case(
        "lower_volumes",
        "slopes for the channels of a volume",
        """(float[1,2,3,4,5] x) => (float[1,2,3,4,5] y)
            <float[2,1,1,1] slope = {0.25, -0.5}> { y = PRelu(x, slope) }""",
        "Mul Relu Add",
    ),
    Case(
        "lower_volumes",
        "slopes above 1, and such as are fed, for a volume",
        """(float[1,2,3,4,5] x, float[2,1,1,1] s) => (float[1,2,3,4,5] y)
            <float[2,1,1,1] slope = {1.25, -0.5}> {
            a = PRelu(x, slope) y = PRelu(a, s) }""",
        "Mul Relu Mul Add Sub Mul Relu Mul Add",
    ),
    Case(
        "lower_volumes",
        "a normalization and the maximum of a volume",
        """(float[2,3,3,4,5] x, float[3] w, float[3] w1) => (float[2,3,1,1,1] y) {
            a = InstanceNormalization <epsilon = 0.1> (x, w, w1) y = GlobalMaxPool(a) }""",
        "Reshape InstanceNormalization ReduceMax Reshape",
    ),
    Case(
        "lower_volumes",
        "the places of the largest in a volume",
        """(float[1,2,4,4,4] x) => (float[1,2,2,2,2] y, int64[1,2,2,2,2] i) {
            y, i = MaxPool <kernel_shape = [2, 2, 2], strides = [2, 2, 2]> (x) }""",
        "MaxPool",
        applies=False,
    ),
    Case(
        "lower_activations",
        "activations that the NPU has in float only",
        """(float[2,5] x) => (float[2,5] y, float[2,5] v, float[2,5] u) {
            y = Selu <alpha = 1.5, gamma = 1.2> (x) v = ThresholdedRelu <alpha = 0.3> (x)
            u = ThresholdedRelu <alpha = 0.0> (x) }""",
        "Elu Mul Greater Where Relu",
    ),
    Case(
        "lower_scatter",
        "the larger values at rows, and sums at places",
        """(float[4,5] x, float[2,5] z, float[4,2] u) => (float[4,5] y, float[4,5] v)
            <int64[2,1] i = {3, 0}, int64[4,2] j = {4, 0, 1, 2, 3, 0, 2, -1}> {
            y = ScatterND <reduction = "max"> (x, i, z)
            v = ScatterElements <axis = 1, reduction = "add"> (x, j, u) }""",
        "Gather Max Slice Slice Slice Concat GatherElements Add ScatterElements",
        18,
    ),
    Case(
        "lower_scatter",
        "sums of several values at one place",
        """(float[4,5] x, float[2,5] z) => (float[4,5] y) <int64[2,1] i = {3, 3}> {
            y = ScatterND <reduction = "add"> (x, i, z) }""",
        "ScatterND",
        18,
        applies=False,
    ),
    Case(
        "lower_reductions",
        "a product over two axes, one of an odd size",
        """(float[2,5,3] x) => (float[2] y) {
            a = Constant <value_ints = [1, 2]> () y = ReduceProd <keepdims = 0> (x, a) }""",
        "Slice Slice Slice Mul Slice Slice Mul Mul Slice Slice Slice Mul Mul Reshape",
        18,
    ),
    Case(
        "unroll_recurrent",
        "an unrolled recurrent layer",
        """(float[2,3,4] x, float[1,5,4] w, float[1,5,5] w1, float[1,10] w2) => (float[1,3,5] y) {
            all, y = RNN <hidden_size = 5> (x, w, w1, w2) }""",
        "Reshape Gemm Split Tanh Gemm Add Tanh Reshape",
    ),
    Case(
        "lower_reverse_sequence",
        "a sequence backwards",
        """(float[5,1,2,3] x) => (float[5,1,2,3] y) <int64[1] n = {5}> {
            y = ReverseSequence (x, n) }""",
        "Slice",
    ),
    Case(
        "unroll_loops",
        "a loop of three turns",
        """(float[2,3] x, float[3,3] w) => (float[2,3] y) <int64 m = {3}, bool go = {1}> {
            y = Loop <body = b (int64 i, bool c, float[2,3] s) => (bool c2, float[2,3] out) {
                p = MatMul (s, w) out = Tanh (p) c2 = Identity (c) }> (m, go, x) }""",
        "Gemm Tanh Gemm Tanh Gemm Tanh",
    ),
    Case(
        "select_branches",
        "a choice between two layers",
        """(float[2,3] x, float[3,3] w) => (float[2,3] y) {
            m = ReduceMax <keepdims = 0> (x) n = ReduceMin <keepdims = 0> (x) s = Add (m, n)
            c = Greater (s, m)
            y = If <then_branch = t () => (float[2,3] a) { a = MatMul (x, w) },
                else_branch = e () => (float[2,3] b) { b = Tanh (x) }> (c) }""",
        "ReduceMax ReduceMin Add Greater Gemm Tanh Where",
    ),
    Case(
        "lower_recurrent",
        "activations that the operator has anyway",
        """(float[70,3,4] x, float[2,20,4] w, float[2,20,5] w1) => (float[70,2,3,5] y) {
            y = LSTM <hidden_size = 5, direction = "bidirectional", activations =
                ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Tanh", "Tanh"]> (x, w, w1) }""",
        "LSTM",
    ),
    Case(
        "lower_recurrent",
        "lengths of sequences that are those of all",
        """(float[30,3,4] x, float[1,15,4] w, float[1,15,5] w1) => (float[30,1,3,5] y)
            <int32[3] lengths = {30, 30, 30}> {
            y, h = GRU <hidden_size = 5> (x, w, w1, , lengths) }""",
        "GRU",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
