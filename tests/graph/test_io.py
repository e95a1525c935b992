"""Loading and saving: every kind of ONNX file, and one clear sentence for what is not one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.errors import ModelError
from snapq.graph import io
from snapq.graph.shapes import graph_inputs
from snapq.graph.weights import check_weights
from tests.graph.models import assert_same_results, build

MATMUL = "(float[2,64] x, float[64,64] w) => (float[2,64] y) { y = MatMul(x, w) }"


def _write(path: Path) -> Path:
    io.save(build(MATMUL), path)
    return path


def _write_external(folder: Path) -> Path:
    proto = onnx.load_from_string(io.serialized(build(MATMUL)))
    path = folder / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.onnx: There is no such file"):
        io.load(tmp_path / "nothing.onnx")


def test_a_folder_an_empty_file_and_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "text.onnx").write_text("This is a text, not a model.\n" * 20)
    (tmp_path / "zeros.onnx").write_bytes(bytes(1000))
    for name, words in (
        (".", "folder"),
        ("empty.onnx", "empty"),
        ("text.onnx", "not"),
        ("zeros.onnx", "not"),
    ):
        with pytest.raises(ModelError, match=words):
            io.load(tmp_path / name)


def test_what_has_no_end_or_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(5 << 30)
    for path, words in (
        (tmp_path / "pipe.onnx", "no file"),
        (Path("/dev/zero"), "no file"),
        (tmp_path / "large.onnx", "over 2 GB"),
    ):
        with pytest.raises(ModelError, match=words):
            io.load(path)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, kept: float) -> None:
    path = _write(tmp_path / "model.onnx")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ModelError):
        io.load(path)


def test_external_data_is_read_from_beside_the_model(tmp_path: Path) -> None:
    path = _write_external(tmp_path)
    assert (tmp_path / "weights.bin").stat().st_size == 64 * 64 * 4
    assert_same_results(build(MATMUL), io.load(path), tolerance=0)


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    path = _write_external(tmp_path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"'weights\.bin' with the weights 'w' is missing"):
        io.load(path)


def test_external_data_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = _write_external(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    with pytest.raises(ModelError, match=r"'weights\.bin' is cut off"):
        io.load(path)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../weights.bin"])
def test_external_data_outside_of_the_folder_is_not_followed(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = _write_external(folder)
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="outside the model's folder"):
        io.load(path)


def test_large_weights_go_to_a_file_beside_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    io.save(build(MATMUL), path, limit=10_000)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    mapped = io.load(path, limit=0)
    io.save(mapped, path, limit=10_000)
    io.copy(path, tmp_path / "copied" / "other.onnx")
    for found in (path, tmp_path / "copied" / "other.onnx"):
        assert_same_results(build(MATMUL), io.load(found), tolerance=0)


def test_weights_that_stayed_mapped_are_written_out_where_they_fit(tmp_path: Path) -> None:
    io.save(build(MATMUL), tmp_path / "large.onnx", limit=0)
    io.save(io.load(tmp_path / "large.onnx", limit=0), tmp_path / "elsewhere" / "small.onnx")
    found = io.load(tmp_path / "elsewhere" / "small.onnx")
    assert_same_results(build(MATMUL), found, tolerance=0)


def test_the_digest_follows_the_weights_of_large_models_too() -> None:
    model, other = build(MATMUL), build(MATMUL)
    weight = other.graph.initializers["w"]
    assert weight.const_value is not None
    weight.const_value = ir.tensor(weight.const_value.numpy() + 1, name="w")
    for limit in (0, io.IN_MEMORY_LIMIT):
        assert io.digest(model, limit) == io.digest(model.clone(), limit)
        assert io.digest(model, limit) != io.digest(other, limit)


def test_initializers_listed_as_inputs_are_no_inputs() -> None:
    model = build(MATMUL, opset=9, ir_version=3)
    model.graph.inputs.append(model.graph.initializers["w"])
    assert [value.name for value in graph_inputs(model)] == ["x"]


def test_sparse_weights_are_written_out(tmp_path: Path) -> None:
    proto = onnx.load_from_string(io.serialized(build(MATMUL)))
    dense = np.zeros((64, 64), np.float32)
    dense[3, 5], dense[10, 0] = 1.5, -2.0
    values = onnx.numpy_helper.from_array(np.array([1.5, -2.0], np.float32), "w")
    places = onnx.numpy_helper.from_array(np.array([3 * 64 + 5, 640], np.int64), "w_places")
    del proto.graph.initializer[:]
    proto.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [64, 64]))
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    weight = io.load(path).graph.initializers["w"].const_value
    assert weight is not None
    np.testing.assert_array_equal(weight.numpy(), dense)


@pytest.mark.parametrize("opset", [6, 99])
def test_an_opset_out_of_range_is_refused_with_one_to_export(tmp_path: Path, opset: int) -> None:
    proto = onnx.load_from_string(io.serialized(build(MATMUL)))
    proto.opset_import[0].version = opset
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=f"opset {opset}.*Export it with opset"):
        io.load(path)


def test_the_same_model_gives_the_same_bytes() -> None:
    assert io.serialized(build(MATMUL)) == io.serialized(build(MATMUL).clone())


@pytest.mark.parametrize(("bad", "words"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_weights_that_are_not_finite_are_refused_by_name(bad: float, words: str) -> None:
    model = build(MATMUL)
    weight = model.graph.initializers["w"]
    array = weight.const_value.numpy().copy()
    array[0, :3] = bad
    weight.const_value = io.ir.tensor(array, name="w")
    with pytest.raises(ModelError, match=f"w: 3 of 4096 weights are .*{words}"):
        check_weights(model)


def test_an_infinite_mask_is_no_bad_weight() -> None:
    model = build("(float[2,2] x, float[2,2] w) => (float[2,2] y) { y = Add(x, w) }")
    model.graph.initializers["w"].const_value = io.ir.tensor(
        np.array([[0, -np.inf], [0, 0]], np.float32), name="w"
    )
    check_weights(model)


def _chain(tmp_path: Path, *nodes: onnx.NodeProto) -> Path:
    given, made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"
    )
    graph = onnx.helper.make_graph(nodes, "g", [given], [made])
    path = tmp_path / "model.onnx"
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    path.write_bytes(proto.SerializeToString())
    return path


def test_nodes_in_any_order_are_sorted(tmp_path: Path) -> None:
    relu = onnx.helper.make_node("Relu", ["a"], ["y"])
    model = io.load(_chain(tmp_path, relu, onnx.helper.make_node("Sin", ["x"], ["a"])))
    assert [node.op_type for node in model.graph] == ["Sin", "Relu"]


def test_a_graph_without_an_output_is_refused(tmp_path: Path) -> None:
    proto = onnx.load_from_string(io.serialized(build(MATMUL)))
    del proto.graph.output[:]
    onnx.save(proto, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="The model has no output"):
        io.load(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("inputs", "output", "said"),
    [
        (["z"], "y", "Relu 'r' reads 'z', which nothing makes"),
        (["x"], "a", "An output is 'y', which nothing makes"),
        (["y"], "y", "circle"),
    ],
)
def test_a_graph_that_does_not_connect_is_refused(
    tmp_path: Path, inputs: list[str], output: str, said: str
) -> None:
    path = _chain(tmp_path, onnx.helper.make_node("Relu", inputs, [output], name="r"))
    with pytest.raises(ModelError, match=said):
        io.load(path)


def test_files_are_those_that_a_model_names(tmp_path: Path) -> None:
    path = _write_external(tmp_path)
    assert io.files(path) == [path, tmp_path / "weights.bin"]
    assert io.files(_write(tmp_path / "whole.onnx")) == [tmp_path / "whole.onnx"]
    (tmp_path / "weights.bin").unlink()
    for missing in (path, tmp_path / "nothing.onnx"):
        with pytest.raises(ModelError):
            io.files(missing)
