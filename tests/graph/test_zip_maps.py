"""A model that ends in dictionaries of scores gives the scores themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snapq.cpu import CpuModel
from snapq.graph import io


@pytest.mark.parametrize("shown", [False, True], ids=["scores inside", "scores an output too"])
def test_the_scores_take_the_place_of_the_dictionaries(tmp_path: Path, *, shown: bool) -> None:
    ml = "ai.onnx.ml"
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain=ml,
            coefficients=[1.0, 0.0, 0.0, 1.0],
            intercepts=[0.0, 0.5],
            classlabels_ints=[0, 1],
            multi_class=0,
            post_transform="NONE",
        ),
        helper.make_node("ZipMap", ["scores"], ["zipped"], domain=ml, classlabels_int64s=[0, 1]),
    ]
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
    )
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_value_info("zipped", maps),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        outputs if shown else outputs[:2],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(ml, 1)], ir_version=8)
    path, read = tmp_path / "zip.onnx", tmp_path / "read.onnx"
    onnx.save(model, path)
    io.save(io.load(path), read)
    rows = np.array([[1, 2], [3, -4]], np.float32)
    found = CpuModel(read).run({"x": rows})
    np.testing.assert_array_equal(found["zipped"], rows + np.array([0, 0.5], np.float32))
    np.testing.assert_array_equal(found["label"], [1, 0])
