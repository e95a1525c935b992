"""Floats that samples or ONNX Runtime do not have become 32-bit ones before all else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

import snapq
from snapq.cpu import CpuModel
from snapq.graph.float32 import one_kind_of_float
from snapq.graph.inference import infer_shapes

X = np.random.default_rng(0).standard_normal((1, 8))
W = np.random.default_rng(1).standard_normal((8, 8))


def model(weight: type, factor: type, boundary: type = np.float32) -> ir.Model:
    """`(x @ w) * c` with a type for each."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(boundary))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "product"),
        helper.make_node("Mul", ["a", "c"], ["y"], "scaled"),
    ]
    constants = [
        numpy_helper.from_array(W.astype(weight), "w"),
        numpy_helper.from_array(np.array(0.5, factor), "c"),
    ]
    x, y = (helper.make_tensor_value_info(name, kind, [1, 8]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    imports = [helper.make_opsetid("", 17)]
    made = ir.serde.deserialize_model(helper.make_model(graph, opset_imports=imports, ir_version=8))
    infer_shapes(made)
    return made


@pytest.mark.parametrize(
    ("weight", "factor", "node"),
    [(np.float32, np.float64, "scaled"), (np.float64, np.float32, "product")],
)
def test_a_node_that_reads_two_kinds_of_float_is_named_and_mended(weight, factor, node) -> None:
    mixed = model(weight, factor)
    (told,) = one_kind_of_float(mixed)
    assert told.startswith(f"'{node}' (")
    found = CpuModel(mixed).run({"x": X.astype(np.float32)})["y"]
    np.testing.assert_allclose(found, X @ W / 2, rtol=1e-5)


def test_doubles_inside_stay_where_onnx_allows_them() -> None:
    inside = model(np.float32, np.float32)
    assert one_kind_of_float(inside) == ()
    power = ir.serde.deserialize_model(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) '
            "{ e = Constant <value = double {2.0}> () y = Pow(x, e) }"
        )
    )
    infer_shapes(power)
    assert one_kind_of_float(power) == ()


def test_doubles_that_onnx_runtime_cannot_compute_are_floats() -> None:
    points = ir.serde.deserialize_model(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> '
            "g (float[1,1,4,4] x, float[1,2,2,2] at) => (float[1,1,2,2] y) "
            "{ wide = Cast <to = 11> (at) y = GridSample (x, wide) }"
        )
    )
    infer_shapes(points)
    (told,) = one_kind_of_float(points)
    assert "(GridSample) has floats of 64 bits" in told
    at = np.full((1, 2, 2, 2), 0.25, np.float32)
    given = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    np.testing.assert_allclose(CpuModel(points).run({"x": given, "at": at})["y"], 10, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_model_that_is_fed_doubles_is_quantized(kind, tmp_path: Path) -> None:
    ir.save(model(np.float64, np.float64, np.float64), tmp_path / "double.onnx")
    given = [{"x": X.astype(kind)}]
    made = snapq.quantize(tmp_path / "double.onnx", given, preset="fast")
    found = CpuModel(made.path).run({"x": X.astype(np.float32)})["y"]
    assert np.abs(found - X @ W / 2).max() < 0.1
