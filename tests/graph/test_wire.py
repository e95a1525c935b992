"""Files taken apart around their large weights are what protobuf reads and writes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from snapq.graph import io, wire
from tests.graph.models import build

LARGE = np.random.default_rng(0).standard_normal((64, 70)).astype(np.float32)
SMALL = np.arange(12, dtype=np.float32)


def model(**tensors: TensorProto) -> onnx.ModelProto:
    """A model that adds one to its input, with initializers that nothing reads."""
    for name, tensor in tensors.items():
        tensor.name = name
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    one = numpy_helper.from_array(np.ones(2, np.float32), "one")
    node = helper.make_node("Add", ["x", "one"], ["y"], "sum")
    graph = helper.make_graph([node], "graph", [x], [y], [one, *tensors.values()], "what it is")
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(made, {"b": "2", "a": "1"})
    return made


def listed(array: np.ndarray) -> TensorProto:
    """A tensor as a list of numbers."""
    return helper.make_tensor("", TensorProto.FLOAT, array.shape, array.reshape(-1))


def told(array: np.ndarray) -> TensorProto:
    """A tensor with a text and metadata."""
    tensor = numpy_helper.from_array(array)
    tensor.doc_string = "what it is"
    tensor.metadata_props.add(key="from", value="there")
    return tensor


KINDS = {
    "large": model(w=numpy_helper.from_array(LARGE)),
    "several": model(
        a=numpy_helper.from_array(SMALL),
        b=numpy_helper.from_array(LARGE),
        c=numpy_helper.from_array(LARGE.astype(np.int8).repeat(4)),
        d=numpy_helper.from_array(SMALL),
    ),
    "listed": model(w=listed(LARGE)),
    "told": model(w=told(LARGE)),
    "halves": model(w=numpy_helper.from_array(LARGE.astype(np.float16).repeat(2, 1))),
    "small": model(w=numpy_helper.from_array(SMALL)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_what_protobuf_writes(kind: str, tmp_path: Path) -> None:
    given = ir.serde.deserialize_model(KINDS[kind])
    if kind != "listed":
        _hold(given)
    expected = ir.serde.serialize_model(given).SerializeToString(deterministic=True)
    assert b"".join(wire.pieces(given)) == expected
    io.save(given, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == expected
    read = io.load(tmp_path / "model.onnx").graph.initializers
    for name, value in given.graph.initializers.items():
        assert np.array_equal(read[name].const_value.numpy(), value.const_value.numpy())


def _hold(model: ir.Model) -> None:
    """Holds initializers as arrays, as passes leave them."""
    for value in model.graph.initializers.values():
        held = value.const_value
        value.const_value = ir.Tensor(
            held.numpy(),
            name=held.name,
            doc_string=held.doc_string,
            metadata_props=dict(held.metadata_props),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_protobuf_reads(kind: str) -> None:
    data = KINDS[kind].SerializeToString()
    read = wire.read(BytesIO(data), len(data))
    assert read is not None
    for tensor in read.proto.graph.initializer:
        if tensor.name in read.weights:
            assert not tensor.raw_data
            array = read.weights[tensor.name].numpy()
            tensor.raw_data = array.tobytes()
            assert array.flags.owndata
    assert read.proto == KINDS[kind]
    assert bool(read.weights) == (kind in ("large", "several"))


@pytest.mark.parametrize("kept", [0, 1, 100, LARGE.nbytes // 2, LARGE.nbytes + 20, -30, -1])
def test_what_is_cut_off_is_left_to_protobuf(kept: int) -> None:
    data = KINDS["large"].SerializeToString()[:kept]
    assert wire.read(BytesIO(data), len(data)) is None


def test_graphs_in_two_parts_are_left_to_protobuf() -> None:
    data = KINDS["large"].SerializeToString() + model().SerializeToString()
    assert wire.read(BytesIO(data), len(data)) is None


def test_a_weight_that_is_not_of_its_shape_stays_in_the_message() -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(KINDS["large"])
    proto.graph.initializer[1].dims[0] += 1
    data = proto.SerializeToString()
    read = wire.read(BytesIO(data), len(data))
    assert read is not None
    assert not read.weights
    assert read.proto == proto


def test_mapped_weights_are_written_as_they_are(tmp_path: Path) -> None:
    given = build("(float[2,64] x, float[64,64] w) => (float[2,64] y) { y = MatMul(x, w) }")
    io.save(given, tmp_path / "model.onnx", limit=0)
    mapped = io.load(tmp_path / "model.onnx", limit=0)
    assert io.serialized(mapped) == io.serialized(given)
    assert isinstance(mapped.graph.initializers["w"].const_value, ir.ExternalTensor)
