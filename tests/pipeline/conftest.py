"""A small classifier with pictures of its own: a whole run on it takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

CLASSES = 4
SIZE = 32

DEPLOY = """\
name: tiny
model:
  path: tiny.onnx
  inputs: {image: [1, 3, 32, 32]}
devices: [qcs9075, sm8650]
data:
  calibration: {images: pictures, preprocess: &pre {mean: 127, std: 128}}
  evaluation: {images: pictures, labels: labels.csv, preprocess: *pre}
metric: top1
stages:
  - quantize: {}
  - package: {golden_samples: 2}
gates: {max_accuracy_drop: 0.5, npu_nodes: all, min_sqnr_db: 5}
"""


def tiny_model() -> onnx.ModelProto:
    """Convolutions with a residual, a mean over the picture and a linear layer; dynamic batch."""
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        fan_in = int(np.prod(shape[1:])) or 1
        values = rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "stem_relu"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "body", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c2", "r1"], ["a1"], "residual"),
        helper.make_node("Relu", ["a1"], ["r2"], "body_relu"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p1"], "pool"),
        helper.make_node("Flatten", ["p1"], ["f1"], "flatten"),
        helper.make_node("Gemm", ["f1", "w3", "b3"], ["logits"], "head", transB=1),
    ]
    constants = [
        weights("w1", 32, 3, 3, 3),
        weights("b1", 32),
        weights("w2", 32, 32, 3, 3),
        weights("b2", 32),
        weights("w3", CLASSES, 32),
        weights("b3", CLASSES),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "tiny", [image], [logits], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def make_project(tmp_path: Path) -> Path:
    """A folder with deploy.yaml, the model, eight pictures and their labels."""
    onnx.save(tiny_model(), tmp_path / "tiny.onnx")
    (tmp_path / "deploy.yaml").write_text(DEPLOY)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(1)
    rows = ["file,label"]
    for index in range(8):
        pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(pictures / f"{index}.png")
        rows.append(f"{index}.png,{index % CLASSES}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of this test alone."""
    return make_project(tmp_path)
