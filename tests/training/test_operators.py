"""Each operator computes in PyTorch what ONNX Runtime computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from snapq.training.operators import OPERATORS
from tests.training.test_module import CLOSE, worst

RNG = np.random.default_rng(0)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def model_of(
    op: str, data: list[np.ndarray], constants: list[Any], outputs: int, **attributes: Any
) -> tuple[ir.Model, dict[str, np.ndarray]]:
    feeds = {f"x{index}": value for index, value in enumerate(data)}
    names = list(feeds)
    initializers = []
    for index, value in enumerate(constants):
        names.append("" if value is None else f"c{index}")
        if value is not None:
            initializers.append(numpy_helper.from_array(np.asarray(value), f"c{index}"))
    given = [f"y{index}" for index in range(outputs)]
    node = helper.make_node(op, names, given, op, **attributes)
    kinds = {"f": TensorProto.FLOAT, "b": TensorProto.BOOL, "i": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(name, kinds[value.dtype.kind], value.shape)
        for name, value in feeds.items()
    ]
    # Float outputs whatever the operator gives: the comparison is of numbers.
    casts = [helper.make_node("Cast", [name], [f"{name}f"], f"cast_{name}", to=1) for name in given]
    results = [helper.make_tensor_value_info(f"{name}f", TensorProto.FLOAT, None) for name in given]
    graph = helper.make_graph([node, *casts], "one", inputs, results, initializers)
    version = {"Swish": 24, "Upsample": 9}.get(op, 20 if op != "RMSNormalization" else 23)
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10
    )
    return ir.serde.deserialize_model(proto), feeds


PICTURE = real(2, 4, 9, 8)
CASES: list[tuple[str, list[np.ndarray], list[Any], dict[str, Any]]] = [
    *(
        (op, [real(3, 5)], [], {})
        for op in [
            "Identity",
            "Abs",
            "Neg",
            "Sign",
            "Ceil",
            "Floor",
            "Round",
            "Exp",
            "Sin",
            "Cos",
            "Tan",
            "Atan",
            "Sinh",
            "Cosh",
            "Tanh",
            "Erf",
            "IsNaN",
            "IsInf",
            "Relu",
            "LeakyRelu",
            "ThresholdedRelu",
            "Elu",
            "Celu",
            "Selu",
            "Gelu",
            "Sigmoid",
            "HardSigmoid",
            "HardSwish",
            "Mish",
            "Softplus",
            "Softsign",
            "Shrink",
            "Softmax",
            "LogSoftmax",
            "Hardmax",
            "LpNormalization",
            "ArgMax",
            "ArgMin",
            "Flatten",
            "Transpose",
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceSumSquare",
            "ReduceLogSumExp",
            "Trilu",
            "Dropout",
        ]
    ),
    *(
        (op, [np.abs(real(3, 5)) / 4 + 0.1], [], {})
        for op in ["Sqrt", "Reciprocal", "Log", "Asin", "Acos", "ReduceLogSum"]
    ),
    *(
        (op, [real(3, 5), real(5) + 3], [], {})
        for op in [
            "Add",
            "Sub",
            "Mul",
            "Div",
            "Max",
            "Min",
            "Sum",
            "Mean",
            "Greater",
            "Less",
            "Equal",
            "GreaterOrEqual",
            "LessOrEqual",
        ]
    ),
    *((op, [real(3, 5) > 0, real(3, 5) > 0], [], {}) for op in ["And", "Or", "Xor"]),
    ("Not", [real(3, 5) > 0], [], {}),
    ("Where", [real(3, 5) > 0, real(3, 5), real(5)], [], {}),
    ("Gelu", [real(3, 5)], [], {"approximate": "tanh"}),
    ("Cast", [real(3, 5) * 3], [], {"to": TensorProto.INT32}),
    ("Clip", [real(3, 5)], [np.float32(-0.5), np.float32(0.5)], {}),
    ("Clip", [real(3, 5)], [None, np.float32(0.5)], {}),
    ("Pow", [np.abs(real(3, 5))], [np.float32(1.5)], {}),
    ("Mod", [real(3, 5)], [np.float32(0.7)], {"fmod": 1}),
    ("PRelu", [PICTURE], [np.abs(real(4, 1, 1))], {}),
    ("Conv", [PICTURE], [real(6, 4, 3, 3), real(6)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    (
        "Conv",
        [PICTURE],
        [real(6, 2, 3, 3)],
        {"pads": [0, 1, 2, 1], "group": 2, "dilations": [2, 1]},
    ),
    ("Conv", [PICTURE], [real(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", [PICTURE], [real(6, 4, 3, 3)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    ("Conv", [real(2, 4, 11)], [real(6, 4, 3)], {"pads": [2, 0]}),
    ("Conv", [real(1, 2, 5, 6, 7)], [real(3, 2, 3, 3, 3)], {}),
    (
        "ConvTranspose",
        [PICTURE],
        [real(4, 3, 3, 3), real(3)],
        {"strides": [2, 2], "pads": [1, 0, 1, 1], "output_padding": [1, 0]},
    ),
    ("ConvTranspose", [PICTURE], [real(4, 3, 2, 2)], {"group": 2, "strides": [2, 2]}),
    ("ConvTranspose", [PICTURE], [real(4, 3, 3, 3)], {"strides": [2, 2], "output_shape": [18, 16]}),
    ("Gemm", [real(3, 5)], [real(4, 5), real(4)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [real(5, 3)], [real(5, 4)], {"transA": 1}),
    ("MatMul", [real(2, 3, 5), real(2, 5, 4)], [], {}),
    ("Einsum", [real(2, 3, 5), real(2, 4, 5)], [], {"equation": "bij,bkj->bik"}),
    (
        "MaxPool",
        [PICTURE],
        [],
        {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1},
    ),
    ("MaxPool", [PICTURE], [], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    (
        "AveragePool",
        [PICTURE],
        [],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]},
    ),
    (
        "AveragePool",
        [PICTURE],
        [],
        {"kernel_shape": [3, 3], "pads": [1, 0, 0, 1], "count_include_pad": 1},
    ),
    ("AveragePool", [PICTURE], [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("GlobalAveragePool", [PICTURE], [], {}),
    ("GlobalMaxPool", [PICTURE], [], {}),
    ("GlobalLpPool", [PICTURE], [], {}),
    *(
        (
            "Resize",
            [PICTURE],
            [None, None, ints(2, 4, 15, 5)],
            {"mode": mode, "coordinate_transformation_mode": way},
        )
        for mode in ("nearest", "linear", "cubic")
        for way in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
    ),
    (
        "Resize",
        [PICTURE],
        [None, np.array([1, 1, 2, 2], np.float32)],
        {
            "mode": "nearest",
            "nearest_mode": "floor",
            "coordinate_transformation_mode": "asymmetric",
        },
    ),
    (
        "Resize",
        [PICTURE],
        [None, np.array([1, 1, 1.7, 0.6], np.float32)],
        {"mode": "cubic", "exclude_outside": 1},
    ),
    ("GridSample", [PICTURE, real(2, 5, 6, 2) / 2], [], {}),
    ("Reshape", [PICTURE], [ints(0, -1, 8)], {}),
    ("Squeeze", [real(1, 3, 1)], [ints(0)], {}),
    ("Squeeze", [real(1, 3, 1)], [], {}),
    ("Unsqueeze", [real(3, 4)], [ints(0, -1)], {}),
    ("Transpose", [PICTURE], [], {"perm": [0, 2, 3, 1]}),
    ("Flatten", [PICTURE], [], {"axis": 2}),
    ("Expand", [real(3, 1)], [ints(2, 1, 4)], {}),
    ("Tile", [real(3, 2)], [ints(2, 3)], {}),
    ("Slice", [PICTURE], [ints(1, -5), ints(100, -1), ints(1, 2)], {}),
    ("Slice", [PICTURE], [ints(-1, 0), ints(-100, 7), ints(2, 3), ints(-2, 3)], {}),
    ("Concat", [real(2, 3), real(2, 4)], [], {"axis": 1}),
    ("Gather", [real(5, 4)], [np.array([[0, -1], [2, 3]])], {"axis": 0}),
    ("Gather", [real(5, 4)], [np.array(2)], {"axis": 1}),
    ("GatherElements", [real(3, 4)], [np.array([[0, -1], [2, 1]])], {"axis": 1}),
    ("GatherND", [real(3, 4, 2)], [np.array([[0, 1], [2, 3]])], {}),
    ("ScatterElements", [real(3, 4)], [np.array([[0, -1]]), real(1, 2)], {"axis": 1}),
    ("ScatterND", [real(3, 4)], [np.array([[0, 1], [2, 3]]), real(2)], {}),
    ("Pad", [PICTURE], [ints(0, 0, 1, 2, 0, 0, 0, -1), np.float32(0.5)], {}),
    ("Pad", [PICTURE], [ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"}),
    ("Pad", [PICTURE], [ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "edge"}),
    ("DepthToSpace", [PICTURE], [], {"blocksize": 2}),
    ("DepthToSpace", [PICTURE], [], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", [real(1, 3, 4, 6)], [], {"blocksize": 2}),
    ("Trilu", [real(4, 4)], [np.array(1)], {"upper": 0}),
    ("ReduceMean", [PICTURE], [ints(-1, 2)], {"keepdims": 0}),
    ("ReduceSum", [PICTURE], [], {"noop_with_empty_axes": 1}),
    ("ArgMax", [PICTURE], [], {"axis": 1, "keepdims": 0, "select_last_index": 1}),
    ("CumSum", [real(3, 4)], [np.array(1)], {"reverse": 1, "exclusive": 1}),
    ("OneHot", [np.array([1, 3])], [np.array(4), np.array([-1, 2], np.float32)], {}),
    ("BatchNormalization", [PICTURE], [real(4), real(4), real(4), np.abs(real(4)) + 0.5], {}),
    ("InstanceNormalization", [PICTURE], [real(4), real(4)], {}),
    ("LayerNormalization", [PICTURE], [real(8), real(8)], {}),
    ("LayerNormalization", [PICTURE], [real(9, 8)], {"axis": 2}),
    ("GroupNormalization", [PICTURE], [real(2), real(2)], {"num_groups": 2}),
    ("RMSNormalization", [PICTURE], [real(8)], {}),
    ("LRN", [PICTURE], [], {"size": 3}),
    *(
        (
            "LSTM",
            [real(5, 2, 3)],
            [real(n, 16, 3), real(n, 16, 4), real(n, 32), None, real(n, 2, 4), real(n, 2, 4)],
            {"hidden_size": 4, "direction": way},
        )
        for n, way in ((1, "forward"), (1, "reverse"), (2, "bidirectional"))
    ),
    *(
        (
            "GRU",
            [real(5, 2, 3)],
            [real(2, 12, 3), real(2, 12, 4), real(2, 24)],
            {"hidden_size": 4, "direction": "bidirectional", "linear_before_reset": late},
        )
        for late in (0, 1)
    ),
]
OUTPUTS = {"LSTM": 3, "GRU": 2}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_an_operator_computes_what_onnx_runtime_computes(case: Any) -> None:
    op, data, constants, attributes = case
    model, feeds = model_of(op, data, constants, OUTPUTS.get(op, 1), **attributes)
    assert worst(model, feeds) < CLOSE


def test_operators_with_several_outputs() -> None:
    for op, constants in (("Split", [ints(1, 4)]), ("TopK", [ints(2)])):
        model, feeds = model_of(op, [real(3, 5)], constants, 2, axis=1)
        assert worst(model, feeds) < CLOSE


def test_no_operator_goes_untested() -> None:
    untested = {"Upsample", "Swish", "QuickGelu", "Split", "TopK"}  # Swish: in the real models
    assert set(OPERATORS) - {case[0] for case in CASES} <= untested
