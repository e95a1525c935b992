"""A model that runs within an eye's blink, also on an emulated board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path: Path) -> None:
    """Writes a model of two convolutions, [1, 16, 64, 64] to [1, 16, 64, 64]."""
    generator = np.random.default_rng(0)
    shape = [1, 16, 64, 64]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "a"], ["h"], name="first", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["h", "b"], ["y"], name="second", pads=[1, 1, 1, 1]),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(generator.normal(size=(16, 16, 3, 3)).astype(np.float32), name)
            for name in ("a", "b")
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)


def feeds(count: int) -> Iterator[dict[str, np.ndarray]]:
    generator = np.random.default_rng(1)
    for _ in range(count):
        yield {"x": generator.normal(size=(1, 16, 64, 64)).astype(np.float32)}
