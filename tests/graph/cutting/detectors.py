"""Small detectors whose heads cannot run on the NPU, and what makes them so."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 32
"""Height and width of the picture."""


def _weight(name: str, *shape: int) -> onnx.TensorProto:
    random = np.random.default_rng(len(name))
    return numpy_helper.from_array((random.normal(size=shape) * 0.3).astype(np.float32), name)


def detector(*, sizes: bool = False) -> onnx.ModelProto:
    """An end-to-end detector as YOLO exports are: a backbone, boxes and scores, NonMaxSuppression.

    Args:
        sizes: with a second input, the size of the original picture, that only the head reads.

    Outputs: boxes [N, 4], scores [N] and labels [N] of the N detections, N depending on the data.
    """
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1"], ["c1"], "conv1", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w22"], ["c2"], "conv2", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["features"], "relu2"),
        node("Conv", ["features", "w_box"], ["box_map"], "box"),
        node("Conv", ["features", "w_score"], ["score_map"], "score"),
        node("Reshape", ["box_map", "box_shape"], ["box_rows"], "box_reshape"),
        node("Transpose", ["box_rows"], ["raw_boxes"], "box_transpose", perm=[0, 2, 1]),
        node("Reshape", ["score_map", "score_shape"], ["score_rows"], "score_reshape"),
        node("Sigmoid", ["score_rows"], ["class_scores"], "sigmoid"),
        node(
            "NonMaxSuppression", ["raw_boxes", "class_scores", "most", "iou", "least"], ["chosen"]
        ),
        node("Gather", ["chosen", "two"], ["which"], axis=1),
        node("Gather", ["chosen", "one"], ["classes"], axis=1),
        node("Squeeze", ["which", "axis1"], ["rows"]),
        node("Squeeze", ["classes", "axis1"], ["labels"]),
        node("Squeeze", ["raw_boxes", "axis0"], ["flat_boxes"]),
        node("Gather", ["flat_boxes", "rows"], ["own_boxes"], axis=0),
        node("Transpose", ["class_scores"], ["by_row"], perm=[0, 2, 1]),
        node("Squeeze", ["by_row", "axis0"], ["row_scores"]),
        node("Gather", ["row_scores", "rows"], ["chosen_scores"], axis=0),
        node("ReduceMax", ["chosen_scores"], ["scores"], axes=[1], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])]
    if sizes:
        inputs.append(helper.make_tensor_value_info("size", TensorProto.INT64, [1, 4]))
        nodes += [
            node("Cast", ["size"], ["real_size"], to=TensorProto.FLOAT),
            node("Mul", ["own_boxes", "real_size"], ["boxes"]),
        ]
    else:
        nodes.append(node("Identity", ["own_boxes"], ["boxes"]))
    ints = {"box_shape": [1, 4, -1], "score_shape": [1, 5, -1], "most": [3], "two": [2]}
    ints |= {"one": [1], "axis1": [1], "axis0": [0]}
    floats = {"iou": [0.9], "least": [0.4]}
    constants = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in ints.items()]
    constants += [numpy_helper.from_array(np.array(v, np.float32), k) for k, v in floats.items()]
    constants += [_weight("w1", 16, 3, 3, 3), _weight("w22", 16, 16, 3, 3)]
    constants += [_weight("w_box", 4, 16, 1, 1), _weight("w_score", 5, 16, 1, 1)]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]),
    ]
    graph = helper.make_graph(nodes, "detector", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CUT = ("raw_boxes", "class_scores")
"""Where most of it stays on the NPU with fewest tensors handed over."""


def picture(seed: int = 0) -> np.ndarray:
    """A random picture."""
    return np.random.default_rng(seed).random((1, 3, SIZE, SIZE)).astype(np.float32)
