"""Small float models whose first layers differ, and samples for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from snapq.config import Preprocess
from snapq.cpu import CpuModel
from snapq.evaluation.samples import Sample
from snapq.graph.boundary import Boundary, InputBoundary
from snapq.graph.inference import infer_shapes
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.qdq.scheme import Scheme
from snapq.quantization.quantize import quantize

Array = np.ndarray[Any, np.dtype[Any]]
IMAGENET = Preprocess(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
WHOLE = Preprocess(mean=(127,), std=(128,))


def build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    outputs: Sequence[str],
    constants: Mapping[str, Array],
    kinds: Mapping[str, int] | None = None,
) -> ir.Model:
    """A model of opset 21 whose shapes are inferred."""
    types = dict(kinds or {})
    graph = helper.make_graph(
        list(nodes),
        "small",
        [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, types.get(name, 1), inputs.get(name))
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    loaded = ir.from_proto(model)
    infer_shapes(loaded)
    return loaded


def conv_net(
    *,
    channels: int = 3,
    size: int = 16,
    pads: Sequence[int] = (0, 0, 0, 0),
    group: int = 1,
    bias: bool = True,
    attributes: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> ir.Model:
    """Conv, Relu, Conv, GlobalAveragePool, Flatten, Gemm: input `image`, output `scores`."""
    random = np.random.default_rng(seed)
    more = dict(attributes or {"pads": list(pads)})
    names = ["image", "w1", "b1"] if bias else ["image", "w1"]
    nodes = [
        helper.make_node("Conv", names, ["c1"], "conv1", group=group, **more),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["scores"], "gemm"),
    ]
    wide = 8 * group
    constants = {
        "w1": random.normal(0, 0.3, (wide, channels // group, 3, 3)),
        "b1": random.normal(0, 0.1, wide),
        "w2": random.normal(0, 0.2, (8, wide, 3, 3)),
        "b2": random.normal(0, 0.1, 8),
        "w3": random.normal(0, 0.5, (8, 10)),
        "b3": random.normal(0, 0.1, 10),
    }
    if not bias:
        del constants["b1"]
    return build(
        nodes,
        {"image": [1, channels, size, size]},
        ["scores"],
        {name: value.astype(np.float32) for name, value in constants.items()},
    )


def image_samples(
    shape: Sequence[int], preprocess: Preprocess, count: int = 4, *, name: str = "image"
) -> list[Sample]:
    """Random pictures as a data set gives them; `shape` is the model's, rank 4."""
    random = np.random.default_rng(7)
    first = shape[1] in (1, 3, 4)
    rows = (shape[2], shape[3], shape[1]) if first else tuple(shape[1:])
    samples = []
    for index in range(count):
        frame = random.integers(0, 256, (1, *rows)).astype(np.uint8)
        mean = np.asarray(preprocess.mean, np.float32)
        values = (frame.astype(np.float32) - mean) / np.asarray(preprocess.std, np.float32)
        feed = values.transpose(0, 3, 1, 2) if first else values
        samples.append(Sample(str(index), {name: np.ascontiguousarray(feed)}, {name: frame}))
    return samples


def run(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs on the CPU, each node computed as written."""
    session = CpuModel(model, optimize=False).session
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def quantized(
    model: ir.Model, plan: Boundary, samples: Sequence[Sample], **scheme: Any
) -> ir.Model:
    """The Q/DQ model as the quantize stage makes it."""
    fixed = {
        name: Encoding(
            QuantType(given.dtype),
            np.asarray(given.scale, np.float32),
            np.asarray(given.zero_point, given.dtype),
        )
        for name, given in plan.input_encodings().items()
    }
    feeds = (plan.model_feeds(sample) for sample in samples)
    return quantize(model, feeds, Scheme(**scheme), fixed=fixed).model


def only_input(plan: Boundary) -> InputBoundary:
    """The plan of a model with one input."""
    (item,) = plan.inputs
    return item
