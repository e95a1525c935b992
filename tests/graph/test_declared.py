"""What files declare is checked before anything is made of it; a row a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from benchmarks.robustness import valid_models
from snapq.errors import ModelError
from snapq.graph import io


def sparse_with(**fields: object) -> onnx.ModelProto:
    model = valid_models.sparse()
    (one,) = model.graph.sparse_initializer
    dims = fields.get("dims", [4, 3])
    indices = np.asarray(fields.get("indices", [1, 7]), np.int64)
    one.CopyFrom(helper.make_sparse_tensor(one.values, numpy_helper.from_array(indices, "i"), dims))
    return model


def external_with(key: str, value: str) -> onnx.ModelProto:
    model = valid_models.external()
    for entry in model.graph.initializer[0].external_data:
        if entry.key == key:
            entry.value = value
    return model


def weight_with(**fields: object) -> onnx.ModelProto:
    model = valid_models.convolutions()
    tensor = model.graph.initializer[0]
    for name, value in fields.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)  # type: ignore[arg-type]
        else:
            setattr(tensor, name, value)
    return model


def calls(name: str) -> onnx.ModelProto:
    model = valid_models.functions()
    model.functions[0].node[0].op_type = name
    model.functions[0].node[0].domain = "own"
    return model


def tower() -> onnx.ModelProto:
    model = valid_models.functions()
    imports = list(model.functions[0].opset_import)
    for floor in range(40):
        below = f"floor{floor - 1}" if floor else "inner"
        nodes = [helper.make_node(below, [f"v{i}"], [f"v{i + 1}"], domain="own") for i in range(2)]
        model.functions.append(
            helper.make_function("own", f"floor{floor}", ["v0"], ["v2"], nodes, imports)
        )
    model.graph.node.append(helper.make_node("floor39", ["x"], ["z"], domain="own"))
    return model


FAULTS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a sparse index outside": (lambda: sparse_with(indices=[1, 12]), "indices .* 'w1'"),
    "a negative sparse index": (lambda: sparse_with(indices=[-1, 2]), "indices .* 'w1'"),
    "too many sparse indices": (lambda: sparse_with(indices=[1, 2, 3]), "indices .* 'w1'"),
    "sparse indices of a wrong rank": (lambda: sparse_with(indices=[[1], [2]]), "indices"),
    "sparse weights of terabytes": (lambda: sparse_with(dims=[10**7, 10**7]), "GB when written"),
    "an offset that is no number": (lambda: external_with("offset", "next"), "offset .* 'next'"),
    "a length below the shape": (lambda: external_with("length", "8"), "have 8 bytes"),
    "a name with a NUL": (lambda: external_with("location", "a\0b"), "outside"),
    "a link to itself": (lambda: external_with("location", "loop"), "outside"),
    "more data than the shape": (lambda: weight_with(dims=[4, 3, 3]), "more than they say"),
    "a negative dimension": (lambda: weight_with(dims=[-4, -3, 3, 3]), r"\[-4, -3, 3, 3\]"),
    "a type that does not exist": (lambda: weight_with(data_type=77), "type 77"),
    "no type": (lambda: weight_with(data_type=0), "no type"),
    "a function that calls itself": (lambda: calls("inner"), "own.inner: .* calls itself"),
    "functions of a trillion nodes": (tower, "nodes; at most 100,000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_declares_nonsense_is_refused(fault: str, tmp_path: Path) -> None:
    build, words = FAULTS[fault]
    (tmp_path / "weights.bin").write_bytes(bytes(4096))
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / "model.onnx"
    path.write_bytes(build().SerializeToString())
    with pytest.raises(ModelError, match=words):
        io.load(path)


@pytest.mark.parametrize("form", valid_models.FORMS, ids=lambda form: form.__name__)
def test_every_form_of_valid_model_is_read(form: valid_models.Build, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(4096))
    path = tmp_path / "model.onnx"
    path.write_bytes(form().SerializeToString())
    assert len(io.load(path).graph) > 0


def test_sparse_weights_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for indices in ([1, 7], [[0, 1], [2, 1]]):
        path.write_bytes(sparse_with(indices=indices).SerializeToString())
        dense = io.load(path).graph.initializers["w1"].const_value
        assert dense is not None
        expected = np.zeros((4, 3), np.float32)
        expected[0, 1], expected[2, 1] = 1.5, -2.0
        np.testing.assert_array_equal(dense.numpy(), expected)
