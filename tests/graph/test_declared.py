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
from snapq.npu.qnn import model_files


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


@pytest.mark.parametrize("name", ["Conv", "strides", "w4", "x"])
def test_a_name_that_is_not_utf8_is_refused(name: str, tmp_path: Path) -> None:
    data = valid_models.convolutions().SerializeToString()
    broken = data.replace(name.encode(), b"\xff" + name.encode()[1:])
    (tmp_path / "model.onnx").write_bytes(broken)
    for read in (io.load, model_files.read):
        with pytest.raises(ModelError, match=r"not UTF-8|not ONNX"):
            read(tmp_path / "model.onnx")


def saved_apart(folder: Path, model: onnx.ModelProto) -> Path:
    """The model with its weights in `weights.bin`."""
    folder.mkdir(exist_ok=True)
    onnx.save(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    return folder / "model.onnx"


def weights_of(path: Path, limit: int = io.IN_MEMORY_LIMIT) -> np.ndarray:
    found = io.load(path, limit).graph.initializers["w1"].const_value
    assert found is not None
    return np.asarray(found.numpy())


EXPECTED = numpy_helper.to_array(valid_models.convolutions().graph.initializer[0])


@pytest.mark.parametrize("limit", [io.IN_MEMORY_LIMIT, 0], ids=["in memory", "mapped"])
def test_weights_whose_file_has_a_second_hard_link_are_read(tmp_path: Path, limit: int) -> None:
    path = saved_apart(tmp_path / "model", valid_models.convolutions())
    (tmp_path / "second").hardlink_to(path.with_name("weights.bin"))
    np.testing.assert_array_equal(weights_of(path, limit), EXPECTED)


def test_a_model_in_a_cache_of_downloads_is_read(tmp_path: Path) -> None:
    path = saved_apart(tmp_path / "blobs", valid_models.convolutions())
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    for name in ("model.onnx", "weights.bin"):
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    np.testing.assert_array_equal(weights_of(snapshot / path.name), EXPECTED)


def test_a_link_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    path = saved_apart(tmp_path / "model", valid_models.convolutions())
    path.with_name("weights.bin").rename(tmp_path / "elsewhere")
    path.with_name("weights.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="not followed"):
        io.load(path)


def test_weights_of_functions_lie_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = valid_models.functions()
    values = numpy_helper.from_array(np.arange(9, dtype=np.float32).reshape(3, 3), "k")
    (tmp_path / "weights.bin").write_bytes(values.raw_data)
    values.ClearField("raw_data")
    values.data_location = onnx.TensorProto.EXTERNAL
    values.external_data.add(key="location", value="weights.bin")
    constant = helper.make_node("Constant", [], ["k"], value=values)
    add = helper.make_node("Add", ["p", "k"], ["p2"])
    inner = model.functions[0]
    inner.node[0].input[0] = "p2"
    nodes = [constant, add, *inner.node]
    del inner.node[:]
    inner.node.extend(nodes)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = io.load(tmp_path / "model.onnx")
    (tensor,) = [
        node.attributes["value"].as_tensor()
        for function in found.functions.values()
        for node in function
        if node.op_type == "Constant"
    ]
    assert tensor.numpy()[2, 2] == 8
