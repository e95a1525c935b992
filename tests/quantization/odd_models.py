"""Tiny models with what real models have in odd places, each with a maker of its inputs."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from snapq.graph.shapes import freeze

MODELS: dict[str, Callable[[], ir.Model]] = {}


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def odd(function: Callable[[], ir.Model]) -> Callable[[], ir.Model]:
    MODELS[function.__name__] = function
    return function


class Builder:
    """Writes a graph node by node; constants are given as arrays."""

    def __init__(self, opset: int = 21) -> None:
        self.random = np.random.default_rng(7)
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def feed(self, name: str, *shape: int, dtype: int = TensorProto.FLOAT) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def normal(self, *shape: int, scale: float = 0.3) -> np.ndarray:
        return (self.random.normal(size=shape) * scale).astype(np.float32)

    def add(self, op_type: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes) -> str:
        names = [self.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
        stem = f"{op_type.lower()}_{len(self._nodes)}"
        made = [stem] if outputs == 1 else [f"{stem}_{index}" for index in range(outputs)]
        self._nodes.append(
            helper.make_node(op_type, names, made, name=f"node_{stem}", **attributes)
        )
        return made[0] if outputs == 1 else made

    def constant(self, array: np.ndarray, name: str | None = None) -> str:
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def model(self, *outputs: str, dtypes: dict[str, int] | None = None) -> ir.Model:
        types = dtypes or {}
        fed = {info.name: info for info in self._inputs}
        infos = [
            fed.get(name)
            or helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), None)
            for name in outputs
        ]
        graph = helper.make_graph(self._nodes, "odd", self._inputs, infos, self._constants)
        opsets = [helper.make_opsetid("", self._opset)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return freeze(ir.from_proto(proto), {})


def feeds(model: ir.Model, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [{str(v.name): _values(v, random) for v in model.graph.inputs} for _ in range(count)]


def _values(value: ir.Value, random: np.random.Generator) -> np.ndarray:
    shape = tuple(int(d) for d in value.shape)
    if value.dtype == ir.DataType.FLOAT:
        return random.normal(size=shape).astype(np.float32)
    if value.dtype == ir.DataType.BOOL:
        return np.asarray(random.random(shape) > 0.5)
    return np.asarray(random.integers(0, 8, shape), value.dtype.numpy())


@odd
def transformer_block() -> ir.Model:
    b = Builder()
    x = b.feed("tokens", 1, 16, 32)
    normed = b.add("LayerNormalization", x, 1 + b.normal(32), b.normal(32), axis=-1)
    heads = []
    for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        part = b.add("Add", b.add("MatMul", normed, b.normal(32, 32)), b.normal(32))
        split = b.add("Reshape", part, np.array([1, 16, 4, 8]))
        heads.append(b.add("Transpose", split, perm=perm))
    scores = b.add("Mul", b.add("MatMul", heads[0], heads[1]), scalar(0.35))
    mixed = b.add("MatMul", b.add("Softmax", scores, axis=-1), heads[2])
    joined = b.add("Reshape", b.add("Transpose", mixed, perm=[0, 2, 1, 3]), np.array([1, 16, 32]))
    x = b.add("Add", x, b.add("MatMul", joined, b.normal(32, 32)))
    normed = b.add("LayerNormalization", x, 1 + b.normal(32), axis=-1)
    hidden = b.add("Gelu", b.add("MatMul", normed, b.normal(32, 64)))
    return b.model(b.add("Add", x, b.add("MatMul", hidden, b.normal(64, 32))))


@odd
def squeeze_excite_and_residual() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8, 12, 12)
    y = b.add("Relu", b.add("Conv", x, b.normal(16, 8, 1, 1), b.normal(16)))
    y = b.add("Conv", y, b.normal(16, 1, 3, 3), b.normal(16), group=16, pads=[1, 1, 1, 1])
    y = b.add("HardSwish", y)
    gate = b.add("Relu", b.add("Conv", b.add("GlobalAveragePool", y), b.normal(4, 16, 1, 1)))
    gate = b.add("HardSigmoid", b.add("Conv", gate, b.normal(16, 4, 1, 1), b.normal(16)))
    y = b.add("Conv", b.add("Mul", y, gate), b.normal(8, 16, 1, 1), b.normal(8))
    return b.model(b.add("Add", x, y))


@odd
def concat_of_different_ranges() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8, 8, 8)
    small = b.add("Mul", x, scalar(0.01))
    wide = b.add("Clip", b.add("Conv", x, b.normal(8, 8, 1, 1)), scalar(0), scalar(6))
    gate = b.add("Sigmoid", x)
    joined = b.add("Concat", small, wide, gate, b.normal(1, 2, 8, 8), axis=1)
    return b.model(b.add("Conv", joined, b.normal(4, 26, 1, 1)), b.add("Sqrt", b.add("Abs", small)))


@odd
def transposed_convolutions() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    y = b.add("ConvTranspose", x, b.normal(8, 6, 2, 2), b.normal(6), strides=[2, 2])
    y = b.add("Relu", y)
    y = b.add("ConvTranspose", y, b.normal(6, 2, 3, 3), b.normal(6), group=3, pads=[1, 1, 1, 1])
    return b.model(b.add("Conv", y, b.normal(9, 2, 3, 3), b.normal(9), group=3))


@odd
def one_dimensional() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 4, 64)
    y = b.add("Relu", b.add("Conv", x, b.normal(8, 4, 5), b.normal(8), strides=[2]))
    y = b.add("MaxPool", b.add("Pad", y, np.array([0, 0, 1, 0, 0, 1])), kernel_shape=[2])
    return b.model(b.add("ReduceMean", y, np.array([2]), keepdims=0))


@odd
def recurrent() -> ir.Model:
    b = Builder()
    x = b.feed("x", 5, 1, 8)
    h, c = b.feed("h", 1, 1, 16), b.feed("c", 1, 1, 16)
    x = b.add("Add", x, b.normal(8))
    w, r, bias = b.normal(1, 64, 8), b.normal(1, 64, 16), b.normal(1, 128)
    y, h2, c2 = b.add("LSTM", x, w, r, bias, "", h, c, outputs=3, hidden_size=16)
    y = b.add("Squeeze", y, np.array([1]))
    z, _ = b.add(
        "GRU", b.add("Relu", y), b.normal(1, 36, 16), b.normal(1, 36, 12), outputs=2, hidden_size=12
    )
    return b.model(b.add("Sigmoid", z), h2, c2)


@odd
def embedding() -> ir.Model:
    b = Builder()
    index = b.feed("index", 1, 6, dtype=TensorProto.INT64)
    mask = b.feed("mask", 1, 6, dtype=TensorProto.BOOL)
    table = b.add("Gather", b.normal(8, 16), index, axis=0)
    chosen = b.add("Where", b.add("Unsqueeze", mask, np.array([2])), table, np.zeros(1, np.float32))
    logits = b.add("MatMul", chosen, b.normal(16, 8))
    best = b.add("ArgMax", logits, axis=-1)
    return b.model(logits, best, dtypes={best: TensorProto.INT64})


@odd
def outputs_used_inside() -> ir.Model:
    b = Builder()
    x, y = b.feed("x", 1, 8), b.feed("y", 1, 8)
    first = b.add("Relu", b.add("Gemm", x, b.normal(8, 8), b.normal(8)))
    second = b.add("Add", first, y)
    return b.model(first, b.add("Tanh", second), second)


@odd
def passed_through() -> ir.Model:
    b = Builder()
    x, y = b.feed("x", 1, 8), b.feed("y", 1, 4)
    b.constant(b.normal(1, 3), "always")
    return b.model("y", "always", b.add("Reshape", x, np.array([2, 4])), b.add("Neg", y))


@odd
def shared_weights() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    weight, bias = b.constant(b.normal(8, 8, 3, 3), "w"), b.constant(b.normal(8), "b")
    y = x
    for _ in range(3):
        y = b.add("Conv", y, weight, bias, pads=[1, 1, 1, 1])
    return b.model(b.add("Mul", b.add("Add", y, b.constant(b.normal(1, 8, 1, 1), "c")), "c"))


@odd
def scalars_and_roles() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8)
    table = b.constant(b.normal(8, 8), "table")
    y = b.add("MatMul", x, table)
    y = b.add("Add", y, b.add("Gather", table, np.array([3]), axis=0))
    y = b.add("Div", b.add("Sub", scalar(1), y), np.array([2.5], np.float32))
    y = b.add("Max", b.add("Pow", y, scalar(2)), scalar(0.1))
    return b.model(b.add("PRelu", y, b.normal(8)), b.add("Gemm", x, table, alpha=0.5, transB=1))


@odd
def huge_bias_and_dead_channel() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 4, 6, 6)
    weight, bias = b.normal(6, 4, 1, 1), b.normal(6)
    weight[1] = 0
    weight[2] *= 1e-12
    bias[2], bias[3] = 3.0, 2000.0
    y = b.add("Conv", x, weight, bias)
    return b.model(b.add("Conv", x, weight[:, :, :1] * 0, np.full(6, 1e-3, np.float32)), y)


@odd
def batch_norm_of_a_join() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 4, 6, 6)
    joined = b.add("Concat", b.add("Conv", x, b.normal(6, 4, 1, 1), b.normal(6)), x, axis=1)
    zeros, ones = np.zeros(10, np.float32), np.full(10, 1 - 1e-5, np.float32)
    normal = b.add("BatchNormalization", joined, b.normal(10), b.normal(10), zeros, ones)
    return b.model(b.add("Conv", b.add("Relu", normal), b.normal(4, 10, 1, 1), b.normal(4)))


@odd
def comparisons_and_integers() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8)
    n = b.feed("n", 1, 8, dtype=TensorProto.INT32)
    up = b.add("Greater", x, scalar(0))
    moved = b.add("Transpose", b.add("Mul", n, np.array([2], np.int32)), perm=[1, 0])
    asfloat = b.add("Cast", moved, to=TensorProto.FLOAT)
    y = b.add("Where", up, x, b.add("Transpose", asfloat, perm=[1, 0]))
    return b.model(b.add("Neg", y), b.add("Split", y, axis=1, num_outputs=2, outputs=2)[0])


@odd
def islands_of_float() -> ir.Model:
    b = Builder()
    x = b.feed("x", 1, 8, 8, 8)
    y = b.add("Selu", b.add("Conv", x, b.normal(8, 8, 1, 1)))
    y = b.add("Mish", b.add("Transpose", y, perm=[0, 2, 3, 1]))
    values, _ = b.add("TopK", b.add("Reshape", y, np.array([1, -1])), np.array([4]), outputs=2)
    return b.model(values, b.add("ReduceL2", y, np.array([1, 2])), b.add("Abs", y))


@odd
def graph_inside() -> ir.Model:
    b = Builder()
    x, flag = b.feed("x", 1, 8), b.feed("flag", dtype=TensorProto.BOOL)
    y = b.add("Relu", x)
    branch = [
        helper.make_graph(
            [helper.make_node(op, [y], [f"{op}_out"])], op, [],
            [helper.make_tensor_value_info(f"{op}_out", TensorProto.FLOAT, [1, 8])],
        )
        for op in ("Neg", "Exp")
    ]  # fmt: skip
    z = b.add("If", flag, then_branch=branch[0], else_branch=branch[1])
    return b.model(b.add("Add", z, y))
