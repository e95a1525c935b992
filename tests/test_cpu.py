"""Models on this machine's CPU, from memory and through a file, whatever their size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq import runtime
from snapq.cpu import WORTH_SHARING, CpuModel
from snapq.errors import ModelError
from snapq.graph import io
from snapq.runtime import products_in_one_thread
from tests.graph.models import build

MATMUL = "(float[2,64] x, float[64,64] w) => (float[2,64] y) { y = MatMul(x, w) }"
ROWS = 70_000
"""Of 8,000 numbers each: 2.24 GB, over what one protobuf message can hold."""


def test_a_model_gives_the_same_through_a_file(tmp_path: Path) -> None:
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)}
    model = build(MATMUL)
    expected = CpuModel(model).run(feeds)
    io.save(model, tmp_path / "model.onnx", limit=0)
    others = (model, io.load(tmp_path / "model.onnx", limit=0), tmp_path / "model.onnx")
    for other in others:
        found = CpuModel(other, in_memory=0).run(feeds, ["y"])
        assert np.array_equal(found["y"], expected["y"])
    assert CpuModel(model).run(feeds, []) == {}


def test_small_weights_that_stay_in_their_file_are_read_from_there(tmp_path: Path) -> None:
    small = build("(float[2,8] x, float[8,8] w) => (float[2,8] y) { y = MatMul(x, w) }")
    feeds = {"x": np.ones((2, 8), np.float32)}
    ir.save(small, tmp_path / "model.onnx", external_data="weights", size_threshold_bytes=0)
    mapped = io.load(tmp_path / "model.onnx", limit=0)
    assert isinstance(mapped.graph.initializers["w"].const_value, ir.ExternalTensor)
    assert np.array_equal(CpuModel(mapped).run(feeds)["y"], CpuModel(small).run(feeds)["y"])
    assert isinstance(mapped.graph.initializers["w"].const_value, ir.ExternalTensor)


def test_large_weights_are_used_where_they_are() -> None:
    random = np.random.default_rng(0)
    w = random.standard_normal((WORTH_SHARING // 4096 // 4 + 1, 4096)).astype(np.float32)
    x = random.standard_normal((2, len(w))).astype(np.float32)
    x_value, w_value = (
        ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(ir.DataType.FLOAT))
        for name, array in (("x", x), ("w", w))
    )
    w_value.const_value = ir.Tensor(w, name="w")
    node = ir.node("MatMul", [x_value, w_value])
    node.outputs[0].name = "y"
    graph = ir.Graph(
        [x_value], node.outputs, nodes=[node], initializers=[w_value], opset_imports={"": 21}
    )
    model = ir.Model(graph, ir_version=10)
    shared = CpuModel(model, optimize=False, prepack=False)
    np.testing.assert_allclose(shared.run({"x": x})["y"], x @ w, rtol=1e-3, atol=1e-2)
    w[:] = 0  # no copy was made of it
    assert not shared.run({"x": x})["y"].any()


def test_products_run_in_one_thread_and_then_in_as_many_as_before() -> None:
    found = runtime._openblas()
    assert found is not None
    threads, limit = found
    before = threads()
    try:
        limit(2)
        with products_in_one_thread():
            assert threads() == 1
        assert threads() == 2
    finally:
        limit(before)


def test_what_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(ModelError, match=r"ONNX Runtime does not run the model: .*x"):
        CpuModel(build(MATMUL)).run({"x": np.zeros((3, 5), np.float32)})
    with pytest.raises(ModelError, match="ONNX Runtime does not accept the model: "):
        CpuModel(b"no model")


def test_of_an_index_beyond_a_table_the_samples_are_named() -> None:
    model = build(
        "(int64[2] ids) => (float[2,1] y) <float[3,1] t = {1.0, 2.0, 3.0}> { y = Gather(t, ids) }"
    )
    with pytest.raises(ModelError, match="idx=7") as caught:
        CpuModel(model).run({"ids": np.array([0, 7])})
    assert "samples within that range" in str(caught.value.hint)


@pytest.mark.slow
def test_a_model_over_2_gb_in_memory_runs(tmp_path: Path) -> None:
    table = np.memmap(tmp_path / "table", np.float32, "w+", shape=(ROWS, 8_000))
    table[-1] = 7
    rows = ir.tensor(table, name="table")
    ids = ir.Value(name="ids", shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.INT64))
    weight = ir.Value(name="table", shape=rows.shape, type=ir.TensorType(ir.DataType.FLOAT))
    weight.const_value = rows
    node = ir.node("Gather", [weight, ids])
    node.outputs[0].name = "y"
    graph = ir.Graph(
        [ids], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 21}
    )
    found = CpuModel(ir.Model(graph, ir_version=10)).run({"ids": np.array([ROWS - 1])})
    assert np.array_equal(found["y"], np.full((1, 8_000), 7, np.float32))
