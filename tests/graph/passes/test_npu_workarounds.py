"""Passes that write what an NPU kernel computes wrongly in another form."""

from __future__ import annotations

import pytest

from tests.graph.passes.cases import Case, check, names

CASES = [
    Case(
        "gather_by_flat_indices",
        "numbers of a row, picked as a map",
        """(float[6] x) => (float[1,2,1,3] y)
            <int64[1,2,1,3] i = {5, 0, 3, 1, 1, 2}> { y = Gather (x, i) }""",
        "Gather Reshape",
    ),
    Case(
        "gather_by_flat_indices",
        "the mean of one pixel, as PyTorch exports it",
        """(float[1,3,1,1] x) => (float[1,3,1,1] y)
            <int64[1] s = {3}, int64[1,3,1,1] i = {0, 1, 2}> {
            r = Relu(x) f = Reshape(r, s) g = Gather (f, i) y = Neg(g) }""",
        "Relu Neg",
    ),
    Case(
        "gather_by_flat_indices",
        "computed places",
        """(float[6] x, int64[1,2,1,3] i) => (float[1,2,1,3] y) {
            z = Sub(i, i) y = Gather (x, z) }""",
        "Sub Reshape Less Where Add Gather Reshape",
    ),
    Case(
        "gather_by_flat_indices",
        "rows, and fewer dimensions",
        """(float[6,2] x, float[6] z) => (float[1,1,1,3,2] y, float[1,3] u)
            <int64[1,1,1,3] i = {5, 0, 3}, int64[1,3] j = {5, 0, 3}> {
            y = Gather (x, i) u = Gather (z, j) }""",
        "Gather Gather",
        applies=False,
    ),
    Case(
        "turn_in_two_dimensions",
        "64 rows of 32 numbers, turned in front of a sum",
        """(float[1,64,32] x, float[1,32,64] z) => (float[1,32,64] y) {
            t = Transpose <perm = [0, 2, 1]> (x) y = Add(t, z) }""",
        "Reshape Transpose Reshape Add",
    ),
    Case(
        "turn_in_two_dimensions",
        "rows of other sizes",
        """(float[1,32,64] x, float[2,64,32] z) => (float[1,64,32] y, float[2,32,64] u) {
            y = Transpose <perm = [0, 2, 1]> (x) u = Transpose <perm = [0, 2, 1]> (z) }""",
        "Transpose Transpose",
        applies=False,
    ),
    Case(
        "add_before_concat",
        "a class token in front of patches, and their positions",
        """(float[1,4,3] x) => (float[1,5,3] y)
            <float[1,1,3] c = {1.0, 2.0, 3.0}, float[1,5,3] p = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6,
             0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5}> {
            t = Concat <axis = 1> (c, x) y = Add(t, p) }""",
        "Add Concat",
    ),
    Case(
        "add_before_concat",
        "a summand that is the same along the axis, and constants between what is computed",
        """(float[2,3] x, float[2,3] z) => (float[5,3] y)
            <float[1,3] c = {1.0, 2.0, 3.0}, float[3] p = {0.1, 0.2, 0.3}> {
            t = Concat <axis = 0> (x, c, z) y = Add(p, t) }""",
        "Add Add Concat",
    ),
    Case(
        "add_before_concat",
        "computed parts alone, and a Concat with another reader",
        """(float[2,3] x, float[2,3] z) => (float[4,3] y, float[3,3] v, float[3,3] u)
            <float[1,3] c = {1.0, 2.0, 3.0}, float[3] p = {0.1, 0.2, 0.3}> {
            t = Concat <axis = 0> (x, z) y = Add(t, p)
            s = Concat <axis = 0> (c, x) v = Add(s, p) u = Abs(s) }""",
        "Concat Add Concat Add Abs",
        applies=False,
    ),
    Case(
        "broadcast_pow_base",
        "powers of one number, and of a row",
        """(float[4,5] x, float[5] z) => (float[4,5] y, float[4,5] v) <float two = {2.0}> {
            y = Pow(two, x) a = Exp(z) v = Pow(a, x) }""",
        "Pow Exp Expand Pow",
    ),
    Case(
        "compare_one_hot",
        "indices that are fed",
        """(int64[2,3] x) => (float[2,5,3] y) <int64 depth = {5}, float[2] values = {0.5, 2.0}> {
            y = OneHot <axis = 1> (x, depth, values) }""",
        "Unsqueeze Equal Equal Or Where",
    ),
    Case(
        "compare_one_hot",
        "places of maxima",
        """(float[2,5] x) => (float[2,5] y) <int64 depth = {5}, float[2] values = {0.0, 1.0}> {
            i = ArgMax <axis = 1, keepdims = 0> (x) y = OneHot(i, depth, values) }""",
        "ArgMax OneHot",
        applies=False,
    ),
    Case(
        "divide_for_remainders",
        "of whole numbers, and of what is never negative",
        """(int64[4] x, float[2,5] z) => (int64[4] y, int64[2] v)
            <int64 seven = {7}, int64 k = {2}> {
            y = Mod(x, seven) i = ArgMax <axis = 1, keepdims = 0> (z) v = Mod(i, k) }""",
        "Div Mul Sub Less Where Add ArgMax Div Mul Sub",
    ),
    Case(
        "divide_for_remainders",
        "by what is fed, and with the sign of the dividend",
        """(int64[4] x, int64[4] d) => (int64[4] y, int64[4] v) <int64 seven = {7}> {
            e = Abs(d) f = Add(e, seven) y = Mod(x, f) v = Mod <fmod = 1> (x, seven) }""",
        "Abs Add Mod Mod",
        applies=False,
    ),
    Case(
        "truncate_casts",
        "to integers and back, to truth values, and an output of 64 bits",
        """(float[2,5] x) => (float[2,5] y, bool[2,5] v, int64[2,5] w) {
            a = Cast <to = 6> (x) y = Cast <to = 1> (a) v = Cast <to = 9> (a)
            r = Relu(x) w = Cast <to = 7> (r) }""",
        "Sign Abs Floor Mul Cast Relu Floor Cast Cast",
    ),
    Case(
        "truncate_casts",
        "behind a Round, and with a change of shape between",
        """(float[2,5] x, float[2,5] z) => (float[2,5] y, int64[1,2,5] v) <int64[1] zero = {0}> {
            r = Round(x) a = Cast <to = 7> (r) y = Cast <to = 1> (a)
            b = Cast <to = 6> (z) c = Unsqueeze(b, zero) v = Cast <to = 7> (c) }""",
        "Round Sign Abs Floor Mul Cast Unsqueeze Cast",
    ),
    Case(
        "truncate_casts",
        "an output of 32 bits, and places that a Gather reads",
        """(float[2] x, float[5] z) => (int32[2] y, float[2] v) {
            y = Cast <to = 6> (x) r = Abs(x) i = Cast <to = 7> (r) v = Gather(z, i) }""",
        "Cast Abs Cast Gather",
        applies=False,
    ),
    Case(
        "flatten_normalized_rows",
        "few values normalized over two dimensions of rows",
        """(float[1,5,4,16] x, float[16] w) => (float[1,5,4,16] y) {
            y = RMSNormalization <axis = -1> (x, w) }""",
        "Reshape RMSNormalization Reshape",
        23,
    ),
    Case(
        "flatten_normalized_rows",
        "many values normalized over two dimensions of rows",
        """(float[1,5,4,64] x, float[64] w) => (float[1,5,4,64] y) {
            t = Tanh(x) y = RMSNormalization <axis = -1> (t, w) }""",
        "Tanh RMSNormalization",
        23,
        applies=False,
    ),
    Case(
        "flatten_normalized_rows",
        "a normalization of more dimensions than the NPU takes",
        """(float[1,2,3,4,8] x, float[8] w, float[8] wb) => (float[1,2,3,4,8] y) {
            y = LayerNormalization <axis = -1> (x, w, wb) }""",
        "Reshape LayerNormalization Reshape",
    ),
    Case(
        "flatten_normalized_rows",
        "a number of heads that the NPU normalizes wrongly",
        """(float[2,9,4,64] x, float[64] w) => (float[2,9,4,64] y) {
            t = Tanh(x) y = RMSNormalization <axis = -1> (t, w) }""",
        "Tanh Reshape RMSNormalization Reshape",
        23,
    ),
    Case(
        "flatten_normalized_rows",
        "a prime number of heads that the NPU normalizes wrongly",
        """(float[11,3,64] x, float[64] w) => (float[11,3,64] y) {
            t = Tanh(x) y = RMSNormalization <axis = -1> (t, w) }""",
        "Tanh Reshape RMSNormalization Reshape",
        23,
    ),
    Case(
        "flatten_normalized_rows",
        "an input normalized over two dimensions of rows",
        """(float[1,5,4,64] x, float[64] w) => (float[1,5,4,64] y) {
            y = RMSNormalization <axis = -1> (x, w) }""",
        "Reshape RMSNormalization Reshape",
        23,
    ),
    Case(
        "fill_strided_dilations",
        "a depthwise layer with strides and dilation",
        """(float[1,4,9,9] x, float[4,1,1,3] w) => (float[1,4,3,3] y) {
            y = Conv <group = 4, strides = [3, 3], dilations = [2, 2], pads = [0, 2, 0, 0]>
                (x, w) }""",
        "Conv",
    ),
    Case(
        "fill_narrow_groups",
        "two groups of few results",
        """(float[1,36,3,4] x, float[6,18,1,1] w) => (float[1,6,3,4] y) {
            y = Conv <group = 2> (x, w) }""",
        "Conv",
    ),
    Case(
        "legalize_pools",
        "windows of 5 with strides",
        """(float[1,3,9,9] x) => (float[1,3,5,5] y) {
            y = AveragePool <kernel_shape = [5, 5], strides = [2, 2], pads = [2, 2, 2, 2]> (x) }""",
        "AveragePool Mul",
    ),
    Case(
        "average_by_conv",
        "windows of 8 side by side",
        """(float[1,3,9,9] x) => (float[1,3,2,2] y) {
            y = AveragePool <kernel_shape = [8, 8]> (x) }""",
        "Conv",
    ),
    Case(
        "split_pad",
        "padding behind rows that a layer reads",
        """(float[2,5] x, float[7,4] w) => (float[2,4] y) <int64[4] p = {0, 0, 0, 2}> {
            a = Pad(x, p) b = Sin(a) y = MatMul(b, w) }""",
        "Reshape Pad Reshape Sin Gemm",
    ),
    Case(
        "pad_for_filling",
        "ones behind rows that are normalized",
        """(float[2,5] x, float[7] w) => (float[2,7] y) <float[2,2] one = {1, 1, 1, 1}> {
            a = Concat <axis = 1> (x, one) y = LayerNormalization(a, w) }""",
        "Reshape Pad Reshape LayerNormalization",
    ),
    Case(
        "fill_strided_dilations",
        "a layer of two channels a group",
        """(float[1,4,9] x, float[4,2,3] w) => (float[1,4,3] y) {
            y = Conv <group = 2, strides = [2], dilations = [2]> (x, w) }""",
        "Conv",
        applies=False,
    ),
    Case(
        "pad_normalized_rows",
        "rows of 257 elements",
        """(float[2,257] x, float[257] w) => (float[2,257] y) {
            y = RMSNormalization <epsilon = 0.1> (x, w) }""",
        "Pad RMSNormalization Slice",
        23,
    ),
    Case(
        "multiply_one_feature",
        "a layer of one input feature",
        """(float[4,1] x, float[8,1] w, float[8] w1) => (float[4,8] y) {
            y = Gemm <transB = 1> (x, w, w1) }""",
        "Mul Add",
    ),
    Case(
        "lower_linear_resize",
        "linear samples by a scale that is not the ratio of the sizes",
        """(float[1,2,4,12] x) => (float[1,2,8,20] y) <float[4] scales = {1.0, 1.0, 2.0, 1.7}> {
            y = Resize <mode = "linear"> (x, , scales) }""",
        "Transpose Reshape Gemm Reshape Transpose Reshape Gemm Reshape",
        19,
    ),
    Case(
        "lower_cubic_resize",
        "cubic samples by a scale that is not the ratio of the sizes",
        """(float[1,2,4,9] x) => (float[1,2,8,4] y) <float[4] scales = {1.0, 1.0, 2.0, 0.5}> {
            y = Resize <mode = "cubic"> (x, , scales) }""",
        "Transpose Reshape Gemm Reshape Transpose Reshape Gemm Reshape",
        19,
    ),
    Case(
        "lower_cubic_resize",
        "cubic samples between aligned corners, none from outside",
        """(float[1,2,4,5] x) => (float[1,2,4,9] y) <int64[4] sizes = {1, 2, 4, 9}> {
            y = Resize <mode = "cubic", coordinate_transformation_mode = "align_corners",
                exclude_outside = 1> (x, , , sizes) }""",
        "Reshape Gemm Reshape",
        19,
    ),
    Case(
        "lower_cubic_resize",
        "cubic samples, twice as many",
        """(float[1,2,4,5] x) => (float[1,2,8,10] y) <float[4] scales = {1.0, 1.0, 2.0, 2.0}> {
            y = Resize <mode = "cubic"> (x, , scales) }""",
        "Resize",
        19,
        applies=False,
    ),
    Case(
        "lower_nearest_resize",
        "nearest samples of a size that is no multiple",
        """(float[1,2,4,6] x) => (float[1,2,7,3] y)
            <int64[4] sizes = {1, 2, 7, 3}> {
            y = Resize <nearest_mode = "floor", coordinate_transformation_mode = "asymmetric">
                (x, , , sizes) }""",
        "Split Concat Slice",
        19,
    ),
    Case(
        "lower_nearest_resize",
        "nearest samples of many rows, columns and channels",
        """(float[1,16,9,10] x) => (float[1,16,14,15] y)
            <int64[4] sizes = {1, 16, 14, 15}> {
            y = Resize <nearest_mode = "floor", coordinate_transformation_mode = "asymmetric">
                (x, , , sizes) }""",
        "Transpose Gather Gather Transpose",
        19,
    ),
    Case(
        "lower_nearest_resize",
        "nearest samples by a scale that is not the ratio of the sizes",
        """(float[1,2,4,4] x) => (float[1,2,2,2] y) <float[4] scales = {1.0, 1.0, 0.6, 0.6}> {
            y = Resize (x, , scales) }""",
        "Slice Slice",
        19,
    ),
    Case(
        "lower_nearest_resize",
        "nearest samples of twice the size",
        """(float[1,2,4,4] x) => (float[1,2,8,8] y) <float[4] scales = {1.0, 1.0, 2.0, 2.0}> {
            y = Resize (x, , scales) }""",
        "Resize",
        19,
        applies=False,
    ),
    Case(
        "make_computed_indices_positive",
        "indices that are fed",
        """(float[4,5] x, int64[2,3] i) => (float[2,3,5] y) { y = Gather(x, i) }""",
        "Less Where Add Gather",
    ),
    Case(
        "make_computed_indices_positive",
        "tokens count from the front",
        """(int64[1,4] x) => (float[1,4,2] y) {
            table = Constant <value = float[3,2] {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}> ()
            y = Gather(table, x) }""",
        "Gather",
        applies=False,
    ),
    Case(
        "make_computed_indices_positive",
        "indices of points that are fed",
        """(float[4,5,6] x, int32[7,2] i) => (float[7,6] y) {
            j = Cast <to = 7> (i) y = GatherND(x, j) }""",
        "Cast Less Where Add GatherND",
    ),
    Case(
        "make_computed_indices_positive",
        "indices that are places of maxima",
        """(float[4,5] x, float[3,4] z) => (float[3,5] y) {
            i = ArgMax <axis = -1, keepdims = 0> (z) y = Gather(x, i) }""",
        "ArgMax Gather",
        applies=False,
    ),
    Case(
        "make_constant_indices_positive",
        "negative indices",
        """(float[4,5] x) => (float[4] y) {
            i = Constant <value_int = -1> () y = Gather <axis = -1> (x, i) }""",
        "Gather",
    ),
    Case(
        "make_constant_indices_positive",
        "elements scattered to indices counted from the end",
        """(float[3,4] x, float[2,2] u) => (float[3,4] y)
            <int64[2,2] i = {-1, 1, 0, 2}, float[1] k = {2.0}> {
            a = Mul(x, k) y = ScatterElements <axis = 1> (a, i, u) }""",
        "Mul ScatterElements",
        18,
    ),
    Case(
        "add_negative_numbers",
        "what is above a half, and what is missing to one",
        """(float[2,3] x) => (float[2,3] y, float[2,3] z) {
            h = Constant <value_float = 0.5> () n = Constant <value_float = 1.0> ()
            s = Sigmoid(x) y = Sub(s, h) z = Sub(n, s) }""",
        "Sigmoid Add Sub",
    ),
    Case(
        "repeat_shared_rows",
        "positions of two texts, and computed factors behind a sum",
        """(float[2,16,4] x, float[1,16,4] f, float[1,16,4] w, float[4] w1)
            => (float[2,16,4] y, float[2,16,4] z) {
            y = Add(x, w) m = Mul(f, x) a = Add(m, y) z = LayerNormalization(a, w1) }""",
        "Add Concat Mul Add LayerNormalization",
    ),
    Case(
        "repeat_shared_rows",
        "a mask of two heads that a Softmax reads",
        """(float[2,16,16] x, float[1,16,16] w) => (float[2,16,16] y) {
            a = Add(x, w) y = Softmax(a) }""",
        "Add Softmax",
        applies=False,
    ),
    Case(
        "pad_gathered_rows",
        "many rows of eight bytes",
        """(int32[20,2] x) => (int32[32,2] y) {
            i = Constant <value_ints = [INDICES]> () a = Neg(x) y = Gather(a, i) }""".replace(
            "INDICES", ", ".join(map(str, range(-12, 20)))
        ),
        "Neg Concat Gather",
    ),
    Case(
        "pad_gathered_rows",
        "rows behind another axis",
        """(int32[2,20,2] x) => (int32[2,4,8,2] y) <int64[2] shape = {4, 8}> {
            i = Constant <value_ints = [INDICES]> () j = Reshape(i, shape) a = Neg(x)
            y = Gather <axis = 1> (a, j) }""".replace(
            "INDICES", ", ".join(map(str, range(-12, 20)))
        ),
        "Neg Transpose Concat Gather Transpose",
    ),
    Case(
        "pad_gathered_rows",
        "few picks",
        """(int32[20,2] x) => (int32[2,2] y) {
            i = Constant <value_ints = [3, 19]> () a = Neg(x) y = Gather(a, i) }""",
        "Neg Gather",
        applies=False,
    ),
    Case(
        "pad_before_lp_pool",
        "padding of LpPool",
        """(float[1,2,9,9] x) => (float[1,2,9,9] y) {
            y = LpPool <kernel_shape = [2, 2], pads = [0, 0, 1, 1]> (x) }""",
        "Conv LpPool",
        18,
    ),
    Case(
        "legalize_pools",
        "average pooling whose last window ends behind the input",
        """(float[1,2,10,10] x) => (float[1,2,5,5] y) {
            y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x) }""",
        "AveragePool Mul",
        19,
    ),
    Case(
        "legalize_pools",
        "average pooling with a wide padding that does not count",
        """(float[1,2,10,10] x) => (float[1,2,12,12] y) {
            y = AveragePool <kernel_shape = [3, 3], pads = [2, 2, 2, 2]> (x) }""",
        "AveragePool Mul",
        19,
    ),
    Case(
        "legalize_pools",
        "maximum pooling that rounds up to a window behind the input",
        """(float[1,2,8,8] x) => (float[1,2,3,3] y) {
            y = MaxPool <kernel_shape = [1, 1], strides = [3, 3], ceil_mode = 1> (x) }""",
        "MaxPool",
        22,
    ),
    Case(
        "legalize_pools",
        "average pooling that rounds up to no window more",
        """(float[1,2,10,10] x) => (float[1,2,5,5] y) {
            y = AveragePool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (x) }""",
        "AveragePool",
        19,
    ),
    Case(
        "legalize_pools",
        "average pooling side by side, with padding that counts and an end that no window reads",
        """(float[1,2,13,10] x) => (float[1,2,3,2] y) {
            y = AveragePool <kernel_shape = [4, 4], strides = [4, 4], pads = [1, 1, 1, 1],
                count_include_pad = 1> (x) }""",
        "Pad Slice AveragePool AveragePool",
    ),
    Case(
        "legalize_pools",
        "average pooling of windows of an even size side by side",
        """(float[1,2,12,24] x) => (float[1,2,1,2] y) {
            y = AveragePool <kernel_shape = [12, 12], strides = [12, 12]> (x) }""",
        "AveragePool AveragePool AveragePool",
    ),
    Case(
        "legalize_pools",
        "average pooling of a volume with padding that counts",
        """(float[1,2,6,6,6] x) => (float[1,2,3,3,3] y) {
            y = AveragePool <kernel_shape = [3, 3, 3], strides = [2, 2, 2],
                pads = [1, 1, 1, 1, 1, 1], count_include_pad = 1> (x) }""",
        "AveragePool Mul",
    ),
    Case(
        "legalize_pools",
        "maximum pooling whose declared shape has a window too many",
        """(float[1,2,10,11] x) => (float[1,2,rows,columns] y) {
            y = MaxPool <kernel_shape = [2, 2], strides = [5, 5], ceil_mode = 1> (x) }""",
        "MaxPool",
    ),
    Case(
        "legalize_pools",
        "maximum pooling of windows longer than the map",
        """(float[1,2,2,8] x) => (float[1,2,1,4] y) {
            y = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> (x) }""",
        "MaxPool",
    ),
    Case(
        "average_by_conv",
        "average pooling of windows longer than the map",
        """(float[1,2,2,8] x) => (float[1,2,1,4] y) {
            y = AveragePool <kernel_shape = [3, 2], strides = [3, 2]> (x) }""",
        "Conv Mul",
    ),
    Case(
        "legalize_transposed_conv",
        "output padding of a transposed convolution",
        """(float[1,4,6,5] x, float[4,3,3,3] w) => (float[1,3,19,13] y) {
            y = ConvTranspose <strides = [3, 3], pads = [0, 1, 0, 1],
                output_padding = [1, 0]> (x, w) }""",
        "ConvTranspose",
    ),
    Case(
        "legalize_transposed_conv",
        "output padding that is no longer than the padding behind, of a computed kernel",
        """(float[1,4,6,5] x, float[4,1,3,3] k) => (float[1,4,12,10] y) {
            y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1],
                group = 4> (x, k) }""",
        "ConvTranspose",
    ),
    Case(
        "legalize_transposed_conv",
        "a depthwise transposed convolution of five taps",
        """(float[1,4,6,5] x, float[4,1,5,5] w, float[4] wb) => (float[1,4,15,13] y) {
            y = ConvTranspose <strides = [2, 2], group = 4> (x, w, wb) }""",
        "ConvTranspose",
    ),
    Case(
        "legalize_transposed_conv",
        "a grouped transposed convolution over volumes",
        """(float[1,4,3,4,5] x, float[4,3,2,2,2] w) => (float[1,6,6,8,10] y) {
            y = ConvTranspose <strides = [2, 2, 2], group = 2> (x, w) }""",
        "ConvTranspose",
    ),
    Case(
        "average_by_conv",
        "means of windows larger than the map",
        """(float[1,3,2,5] x) => (float[1,3,2,5] y, float[1,3,2,3] v) {
            y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x)
            v = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [1, 2],
                count_include_pad = 1> (x) }""",
        "Conv Mul Conv",
    ),
    Case(
        "average_by_conv",
        "means of one window that holds the whole map, with its padding and without",
        """(float[1,3,3,4] x) => (float[1,3,1,1] y, float[1,3,1,1] v) {
            y = AveragePool <kernel_shape = [9, 9], strides = [4, 4], pads = [4, 4, 4, 4]> (x)
            v = AveragePool <kernel_shape = [9, 9], strides = [4, 4], pads = [4, 4, 4, 4],
                count_include_pad = 1> (x) }""",
        "ReduceMean Mul",
    ),
    Case(
        "average_by_conv",
        "means of windows that fit the map",
        """(float[1,3,3,5] x) => (float[1,3,3,5] y) {
            y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x) }""",
        "AveragePool",
        applies=False,
    ),
    Case(
        "drop_single_strides",
        "a stride where there is one window, and one where there are several",
        """(float[1,2,3,9] x, float[2,1,3,3] w) => (float[1,2,1,4] y) {
            y = Conv <strides = [2, 2], group = 2> (x, w) }""",
        "Conv",
    ),
    Case(
        "drop_unit_axes",
        "maxima over a map of one column, and minima that drop the axes",
        """(float[1,3,4,1] x) => (float[1,3,1,1] y, float[1,3] v, float[1,3,1,1] u)
            <int64[2] a = {2, 3}> {
            y = GlobalMaxPool(x) v = ReduceMin <keepdims = 0> (x, a) u = ReduceSum(x, a) }""",
        "ReduceMax ReduceMin Reshape ReduceSum",
        18,
    ),
    Case(
        "lower_edge_pad",
        "repeated columns, and rows of a map of one row",
        """(float[1,2,1,6] x) => (float[1,2,4,9] y)
            <int64[8] p = {0, 0, 0, 2, 0, 0, 0, 1}, int64[8] q = {0, 0, 3, 0, 0, 0, 0, 0}> {
            a = Pad <mode = "edge"> (x, p) b = Sin(a) y = Pad <mode = "edge"> (b, q) }""",
        "Slice Slice Concat Sin Concat",
    ),
    Case(
        "lower_edge_pad",
        "what is reflected",
        """(float[1,2,4,6] x) => (float[1,2,6,8] y) <int64[8] p = {0, 0, 1, 1, 0, 0, 1, 1}> {
            y = Pad <mode = "reflect"> (x, p) }""",
        "Pad",
        applies=False,
    ),
    Case(
        "split_pad",
        "padding behind the columns and around the rows",
        """(float[1,2,5,6] x) => (float[1,2,8,7] y) <int64[8] p = {0, 0, 2, 0, 0, 0, 1, 1}> {
            a = Sin(x) b = Pad(a, p) y = Cos(b) }""",
        "Sin Reshape Pad Reshape Cos",
    ),
    Case(
        "split_pad",
        "padding behind the rows and the columns of an image",
        """(float[1,2,5,6] x) => (float[1,2,6,8] y) <int64[8] p = {0, 0, 0, 0, 0, 0, 1, 2}> {
            a = Sin(x) b = Pad(a, p) y = Cos(b) }""",
        "Sin Conv Cos",
    ),
    Case(
        "pad_for_filling",
        "a row and a column of zeros that are joined",
        """(float[1,2,5,6] x) => (float[1,2,6,7] y)
            <int64[4] s = {1, 2, 1, 6}, int64[4] t = {1, 2, 6, 1}> {
            a = Sin(x) r = ConstantOfShape(s) b = Concat<axis = 2>(a, r)
            c = ConstantOfShape(t) d = Concat<axis = -1>(b, c) y = Cos(d) }""",
        "Sin Conv Cos",
    ),
    Case(
        "pad_for_filling",
        "Pads of the rows and of the columns",
        """(float[1,2,5,6] x) => (float[1,2,6,7] y)
            <int64[8] s = {0, 0, 0, 0, 0, 0, 1, 0}, int64[8] t = {0, 0, 0, 0, 0, 0, 0, 1}> {
            a = Sin(x) b = Pad(a, s) c = Pad(b, t) y = Cos(c) }""",
        "Sin Conv Cos",
    ),
    Case(
        "pad_for_filling",
        "Pads of the rows and of the axis that is last behind a Transpose",
        """(float[1,2,5,6] x) => (float[1,6,6,3] y)
            <int64[8] s = {0, 0, 0, 0, 0, 0, 1, 0}, int64[8] t = {0, 0, 0, 0, 0, 0, 0, 1}> {
            a = Sin(x) b = Pad(a, s) r = Transpose <perm = [0, 2, 3, 1]> (b)
            c = Pad(r, t) y = Cos(c) }""",
        "Sin Transpose Reshape Pad Reshape Cos",
    ),
    Case(
        "pad_for_filling",
        "a column of ones beside a row of zeros",
        """(float[1,2,5,6] x) => (float[1,2,6,7] y)
            <int64[4] s = {1, 2, 1, 6}, float[1,2,6,1] t = {1,1,1,1,1,1,1,1,1,1,1,1}> {
            a = Sin(x) r = ConstantOfShape(s) b = Concat<axis = 2>(a, r)
            d = Concat<axis = -1>(b, t) y = Cos(d) }""",
        "Sin Concat Reshape Pad Reshape Cos",
    ),
    Case(
        "split_pad",
        "padding behind the rows and the columns of many maps",
        """(float[1,384,5,6] x) => (float[1,384,6,8] y) <int64[8] p = {0, 0, 0, 0, 0, 0, 1, 2}> {
            a = Sin(x) b = Pad(a, p) y = Cos(b) }""",
        "Sin Split Conv Conv Concat Cos",
    ),
    Case(
        "split_pad",
        "padding behind two axes of a sequence",
        """(float[2,5,6] x) => (float[2,6,8] y) <int64[4] p = {0, 0, 1, 2}, int64[2] a = {1, -1},
            float v = {2.0}> { b = Sin(x) c = Pad(b, p, v, a) y = Cos(c) }""",
        "Sin Reshape Pad Reshape Cos",
        18,
    ),
    Case(
        "split_large_reductions",
        "the mean of a large map",
        "(float[1,2,256,200] x) => (float[1,2,1,1] y) { y = GlobalAveragePool(x) }",
        "ReduceMean ReduceMean",
    ),
    Case(
        "split_large_reductions",
        "the sum of a long axis and others, without the axes",
        """(float[2,40000,3] x) => (float[3] y) <int64[2] a = {0, 1}> {
            y = ReduceSum <keepdims = 0> (x, a) }""",
        "Reshape ReduceSum ReduceSum ReduceSum",
    ),
    Case(
        "split_large_reductions",
        "means of a large tensor",
        """(float[1,64,256,256] x) => (float[1,64,1,1] y) <int64[2] a = {2, 3}> {
            y = ReduceMean (x, a) }""",
        "ReduceMean ReduceMean",
        18,
    ),
    Case(
        "split_large_reductions",
        "the mean of one long axis",
        """(float[2,40000,3] x) => (float[2,1,3] y) <int64[1] a = {1}> {
            y = ReduceMean (x, a) }""",
        "Reshape ReduceMean ReduceMean",
        18,
    ),
    Case(
        "split_large_reductions",
        "a long axis that cannot be divided",
        """(float[1,32771] x) => (float[1,1] y) <int64[1] a = {1}> {
            y = ReduceMean (x, a) }""",
        "ReduceMean",
        18,
        applies=False,
    ),
    Case(
        "sum_along_last_axis",
        "sums along an axis that is not the last",
        """(float[2,5,6] x) => (float[2,5,6] y) {
            k = Constant <value_int = 1> () y = CumSum <exclusive = 1> (x, k) }""",
        "Transpose CumSum Transpose Sub",
    ),
    Case(
        "widen_padded_conv",
        "one tap over an axis that is padded",
        """(float[1,3,6,7] x, float[4,3,1,3] w) => (float[1,4,3,4] y) {
            y = Conv <pads = [1, 2, 0, 0], strides = [3, 2], dilations = [5, 1]> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_padded_conv",
        "as much padding as taps, with a dilation",
        """(float[1,3,6,7] x, float[4,3,2,3] w) => (float[1,4,12,7] y) {
            y = Conv <pads = [3, 1, 5, 1], dilations = [2, 1]> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_padded_conv",
        "one tap in all",
        """(float[1,3,6,7] x, float[4,3,1,1] w) => (float[1,4,8,9] y) {
            y = Conv <pads = [1, 1, 1, 1]> (x, w) }""",
        "Conv",
        applies=False,
    ),
    Case(
        "widen_depthwise_conv",
        "a depthwise convolution of two taps and stride two over few channels",
        """(float[1,3,6,7] x, float[3,1,2,2] w) => (float[1,3,3,3] y) {
            y = Conv <strides = [2, 2], group = 3> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_depthwise_conv",
        "a depthwise convolution of many taps and stride two over few channels",
        """(float[2,2,9,12] x, float[2,1,3,8] w, float[2] wb) => (float[2,2,4,4] y) {
            y = Conv <strides = [2, 2], group = 2, pads = [1, 1, 0, 2]> (x, w, wb) }""",
        "Pad Conv Slice",
    ),
    Case(
        "widen_depthwise_conv",
        "one map of many taps",
        """(float[1,1,19,12] x, float[1,1,9,2] w) => (float[1,1,6,6] y) {
            y = Conv <strides = [2, 2]> (x, w) }""",
        "Pad Conv Slice",
    ),
    Case(
        "widen_depthwise_conv",
        "many taps over 5 channels, or with a stride along one axis",
        """(float[1,5,9,12] x, float[5,1,3,8] w, float[1,3,9,12] x1, float[3,1,3,8] w1) =>
            (float[1,5,4,3] y, float[1,3,4,5] z) {
            y = Conv <strides = [2, 2], group = 5> (x, w)
            z = Conv <strides = [2, 1], group = 3> (x1, w1) }""",
        "Conv Conv",
        applies=False,
    ),
    Case(
        "widen_strided_tap",
        "a strided layer of one tap that leaves one row",
        """(float[1,3,2,16] x, float[5,3,1,1] w, float[1,5,1,8] z) => (float[1,5,1,8] y) {
            a = Conv <strides = [2, 2]> (x, w) y = Add(a, z) }""",
        "Conv Add",
    ),
    Case(
        "widen_strided_tap",
        "one of a signal, by threes",
        """(float[1,3,24] x, float[5,3,1] w) => (float[1,5,8] y) {
            y = Conv <strides = [3]> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_strided_tap",
        "a length that the stride does not divide",
        """(float[1,3,23] x, float[5,3,1] w) => (float[1,5,8] y) {
            y = Conv <strides = [3]> (x, w) }""",
        "Conv",
        applies=False,
    ),
    Case(
        "widen_strided_conv",
        "9 x 9 taps with strides",
        """(float[1,3,13,12] x, float[4,3,9,9] w) => (float[1,4,7,4] y) {
            y = Conv <strides = [2, 2], pads = [4, 1, 4, 2]> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_strided_conv",
        "two columns of padding in front of 3 x 3 taps with strides of 4",
        """(float[1,3,8,9] x, float[4,3,3,3] w) => (float[1,4,2,3] y) {
            y = Conv <strides = [4, 4], pads = [1, 2, 0, 1]> (x, w) }""",
        "Conv",
    ),
    Case(
        "widen_strided_conv",
        "two samples of wide taps with strides",
        """(float[2,4,7,15] x, float[6,2,3,11] w, float[6] wb) => (float[2,6,3,3] y) {
            y = Conv <strides = [2, 2], group = 2> (x, w, wb) }""",
        "Split Conv Conv Concat",
    ),
    Case(
        "widen_strided_conv",
        "one sample of wide taps, and other strides",
        """(float[1,4,9,15] x, float[2,4,13,15] x1, float[6,4,3,9] w, float[6,4,9,9] w1) =>
            (float[1,6,4,4] y, float[2,6,2,3] z) {
            y = Conv <strides = [2, 2]> (x, w) z = Conv <strides = [3, 3]> (x1, w1) }""",
        "Conv Conv",
        applies=False,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_the_pass_does_the_work_and_the_model_computes_the_same(case: Case) -> None:
    check(case)
