"""Small valid models, from which broken ones are made: a form a function, none over some kB."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Build = Callable[[], onnx.ModelProto]


def _parsed(text: str, opset: int = 17, domains: str = "") -> onnx.ModelProto:
    """A model from its text; inputs whose name begins with `w` become weights."""
    header = f'<ir_version: 8, opset_import: ["" : {opset}{domains}]> '
    model = onnx.parser.parse_model(header + text)
    random = np.random.default_rng(0)
    for value in [one for one in model.graph.input if one.name.startswith("w")]:
        model.graph.input.remove(value)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        array = np.asarray(random.normal(size=shape) * 0.5).astype(kind)
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return model


def convolutions() -> onnx.ModelProto:
    return _parsed("""g (float[1,3,8,8] x, float[4,3,3,3] w1, float[4] w2, float[4,1,3,3] w3,
        float[5,4] w4) => (float[1,5] y) {
        a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, w2)
        b = Relu(a)
        c = Conv<group=4, pads=[1,1,1,1]>(b, w3)
        d = Add(b, c)
        e = GlobalAveragePool(d)
        f = Flatten(e)
        y = Gemm<transB=1>(f, w4) }""")


def decoder() -> onnx.ModelProto:
    return _parsed("""g (float[1,4,6,6] x, float[4,4,2,2] w1, float[4] w2, float[4] w3, float[4] w4,
        float[4] w5) => (float[1,8,12,12] y) {
        a = ConvTranspose<strides=[2,2]>(x, w1)
        b = BatchNormalization(a, w2, w3, w4, w5)
        s = Constant<value = float[4] {1, 1, 2, 2}>()
        c = Resize<mode="nearest">(x, , s)
        d = Sigmoid(c)
        e = Mul(c, d)
        y = Concat<axis=1>(b, e) }""")


def attention() -> onnx.ModelProto:
    return _parsed("""g (float[1,6,8] x, float[8,8] w1, float[8,8] w2, float[8,8] w3, float[8] w4)
        => (float[1,6,8] y) {
        q = MatMul(x, w1)
        k = MatMul(x, w2)
        v = MatMul(x, w3)
        t = Transpose<perm=[0,2,1]>(k)
        l = MatMul(q, t)
        p = Softmax<axis=-1>(l)
        o = MatMul(p, v)
        r = Add(x, o)
        y = LayerNormalization<axis=-1>(r, w4) }""")


def shapes() -> onnx.ModelProto:
    return _parsed("""g (float[2,3,4] x, float[1,3,1] w1) => (float[2,12] y, float[5] z) {
        s = Shape(x)
        i = Constant<value = int64[1] {0}>()
        b = Gather(s, i)
        m = Constant<value_ints = [-1]>()
        t = Concat<axis=0>(b, m)
        e = Expand(w1, s)
        f = Tile(w1, s)
        g = Slice(f, i, b)
        a = Add(x, e)
        y = Reshape(a, t)
        n = Constant<value = int64[1] {5}>()
        z = ConstantOfShape<value = float[1] {1.5}>(n) }""")


def branches() -> onnx.ModelProto:
    return _parsed("""g (float[2,3] x, bool c, int64 n) => (float[2,3] y, float[2,3] z) {
        y = If(c) <
            then_branch = a () => (float[2,3] p) { p = Relu(x) },
            else_branch = b () => (float[2,3] q) { q = Neg(x) }>
        t = Constant<value = bool {1}>()
        z = Loop(n, t, x) <
            body = l (int64 i, bool k, float[2,3] v) => (bool k2, float[2,3] u)
            { k2 = Identity(k) u = Add(v, x) }> }""")


def functions() -> onnx.ModelProto:
    return _parsed(
        """g (float[2,3] x, float[3,3] w1) => (float[2,3] y) {
        a = own.block(x, w1)
        y = own.block(a, w1) }
        <domain: "own", opset_import: ["" : 17, "own" : 1]>
        inner (p) => (q) { q = Relu(p) }
        <domain: "own", opset_import: ["" : 17, "own" : 1]>
        block (u, m) => (v) { s = MatMul(u, m) v = own.inner(s) }""",
        domains=', "own" : 1',
    )


def recurrent() -> onnx.ModelProto:
    return _parsed("""g (float[5,1,3] x, float[1,16,3] w1, float[1,16,4] w2, float[1,32] w3)
        => (float[5,1,1,4] y, float[1,1,4] h) {
        y, h = LSTM<hidden_size=4>(x, w1, w2, w3) }""")


def quantized() -> onnx.ModelProto:
    return _parsed(
        """g (float[1,3,6,6] x, int8[4,3,3,3] w1) => (float[1,4,4,4] y) {
        s = Constant<value = float {0.02}>()
        z = Constant<value = uint8 {120}>()
        t = Constant<value = float[4] {0.1, 0.2, 0.1, 0.3}>()
        o = Constant<value = int8[4] {0, 0, 0, 0}>()
        a = QuantizeLinear(x, s, z)
        b = DequantizeLinear(a, s, z)
        k = DequantizeLinear<axis=0>(w1, t, o)
        c = Conv(b, k)
        r = Relu(c)
        d = QuantizeLinear(r, s, z)
        y = DequantizeLinear(d, s, z) }"""
    )


def integer_layers() -> onnx.ModelProto:
    return _parsed("""g (float[1,3,6,6] x, int8[4,3,3,3] w1) => (float[1,4,4,4] y) {
        s = Constant<value = float {0.02}>()
        z = Constant<value = uint8 {120}>()
        t = Constant<value = float {0.1}>()
        o = Constant<value = int8 {0}>()
        a = QuantizeLinear(x, s, z)
        c = QLinearConv(a, s, z, w1, t, o, s, z)
        y = DequantizeLinear(c, s, z) }""")


def half() -> onnx.ModelProto:
    return _parsed("""g (float16[1,4,4,4] x, float16[4,4,1,1] w1, float16[4] w2)
        => (float16[1,4,4,4] y) {
        a = Conv(x, w1)
        b = HardSwish(a)
        y = InstanceNormalization(b, w2, w2) }""")


def old() -> onnx.ModelProto:
    return _parsed(
        """g (float[1,4,4,4] x, float[4] w1) => (float[1,4,4,4] y) {
        a = Pad<pads=[0,0,1,1,0,0,1,1], mode="constant", value=0.0>(x)
        b = AveragePool<kernel_shape=[3,3]>(a)
        c = Unsqueeze<axes=[0,2,3]>(w1)
        d = Mul(b, c)
        e = Clip<min=0.0, max=6.0>(d)
        f = Squeeze<axes=[0]>(e)
        g = Unsqueeze<axes=[0]>(f)
        h, i = Split<axis=1, split=[1,3]>(g)
        y = Concat<axis=1>(h, i) }""",
        opset=9,
    )


def gathers() -> onnx.ModelProto:
    return _parsed("""g (int64[1,5] x, float[10,4] w1)
        => (float[1,2,4] y, int64[1,2,1] j) <int64[1] m = {2}> {
        a = Gather<axis=0>(w1, x)
        s = ReduceSum(a, m)
        k = Constant<value = int64[1] {2}>()
        v, j = TopK<axis=1>(s, k)
        t = Constant<value = int64[3] {1, 2, 4}>()
        e = Expand(j, t)
        y = GatherElements<axis=1>(a, e) }""")


def sparse() -> onnx.ModelProto:
    model = _parsed("""g (float[2,4] x, float[4,3] w1) => (float[2,3] y) {
        a = MatMul(x, w1)
        y = Relu(a) }""")
    dense = model.graph.initializer.pop()
    values = numpy_helper.from_array(np.array([1.5, -2.0], np.float32), dense.name)
    indices = numpy_helper.from_array(np.array([1, 7], np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 3]))
    return model


def external() -> onnx.ModelProto:
    """Its weights are said to be in `weights.bin`, which holds 4096 bytes."""
    model = convolutions()
    place = 0
    for tensor in model.graph.initializer:
        size = len(tensor.raw_data)
        facts = {"location": "weights.bin", "offset": str(place), "length": str(size)}
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in facts.items():
            tensor.external_data.add(key=key, value=value)
        place += size
    return model


FORMS: tuple[Build, ...] = (
    convolutions,
    decoder,
    attention,
    shapes,
    branches,
    functions,
    recurrent,
    quantized,
    integer_layers,
    half,
    old,
    gathers,
    sparse,
    external,
)
"""Every form of valid model."""
