"""What an output joins of unlike ranges keeps its values: boxes in pixels, and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import snapq
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Quantized, Scheme, quantize
from tests.quantization.odd_models import Builder, feeds


def head(
    levels: int = 1, pixels: float = 640.0, *, axis: int = 1, clipped: bool = False
) -> ir.Model:
    """Boxes and scores of one or more levels of a detector, as an exporter joins them."""
    b = Builder()
    image, parts = b.feed("x", 1, 3, 16, 16), []
    for _ in range(levels):
        features = b.add("Relu", b.add("Conv", image, b.normal(16, 3, 3, 3), pads=[1] * 4))
        boxes = b.add("Sigmoid", b.add("Conv", features, b.normal(4, 16, 1, 1, scale=0.5)))
        boxes = b.add("Mul", boxes, np.array(pixels, np.float32))
        scores = b.add("Sigmoid", b.add("Conv", features, b.normal(6, 16, 1, 1, scale=0.5)))
        flat = [
            b.add("Reshape", part, np.array([1, channels, 256]))
            for part, channels in ((boxes, 4), (scores, 6))
        ]
        if axis == 2:
            flat = [b.add("Transpose", part, perm=[0, 2, 1]) for part in flat]
        parts.append(b.add("Concat", *flat, axis=axis))
    result = parts[0] if levels == 1 else b.add("Concat", *parts, axis=3 - axis)
    if clipped:
        result = b.add("Clip", result, np.array(0, np.float32), np.array(pixels, np.float32))
    return b.model(result if axis == 2 else b.add("Transpose", result, perm=[0, 2, 1]))


def by_group(truth: np.ndarray, found: np.ndarray) -> list[float]:
    """SQNR in dB of boxes and of scores, the last dimension's first 4 and the rest."""
    pairs = [(truth[..., :4], found[..., :4]), (truth[..., 4:], found[..., 4:])]
    return [sqnr(float((a**2).sum()), float(((a - b) ** 2).sum())) for a, b in pairs]


def joins(result: Quantized) -> list[str]:
    return [note for note in map(str, result.notes) if "unlike" in note]


@pytest.mark.parametrize("architecture", [68, 73])
@pytest.mark.parametrize(
    "model",
    [head(), head(levels=3), head(levels=3, axis=2), head(clipped=True)],
    ids=["one", "three levels", "channels last", "clipped"],
)
def test_boxes_and_scores_in_one_output_both_keep_their_values(
    model: ir.Model, architecture: int
) -> None:
    result = quantize(model, feeds(model, 4), Scheme(architecture=architecture))
    there, here = CpuModel(model, optimize=False).session, CpuModel(result.model).session
    for sample in feeds(model, 2):
        boxes, scores = by_group(there.run(None, sample)[0], here.run(None, sample)[0])
        assert boxes > 33
        assert scores > 31
    assert joins(result)


@pytest.mark.npu
@pytest.mark.parametrize("device", ["qcs6490", "qcs9075", "sm8850"])
def test_the_npu_keeps_both_too(device: str, tmp_path: Path) -> None:
    model = head()
    scheme = Scheme(architecture=find(device).architecture)
    io.save(quantize(model, feeds(model, 4), scheme).model, tmp_path / "model.onnx")
    (sample,) = feeds(model, 1)
    (found,) = snapq.simulate(tmp_path / "model.onnx", device, [sample])
    (truth,) = CpuModel(model, optimize=False).session.run(None, sample)
    boxes, scores = by_group(truth, *found.values())
    assert boxes > 33
    assert scores > 31


def test_beyond_fp16_and_where_a_device_has_none_the_join_has_16_bits() -> None:
    for model, float16 in ((head(pixels=1e5), True), (head(), False)):
        result = quantize(model, feeds(model, 2), Scheme(float16=float16))
        assert "at 16 bits, as what it joins" in joins(result)[0]


def test_like_ranges_what_is_computed_with_and_what_the_user_names_stay_at_8_bits() -> None:
    alike, model = head(pixels=2.0), head()
    (join,) = (str(node.name) for node in model.graph if node.op_type == "Concat")
    named = Scheme(per_node={join: NodePrecision(activations=ActivationType.UINT8)})
    b = Builder()
    x = b.feed("x", 1, 4, 8, 8)
    wide = b.add("Concat", b.add("Mul", b.add("Tanh", x), np.array(50, np.float32)), x, axis=1)
    inside = b.model(b.add("Conv", wide, b.normal(4, 8, 1, 1)))
    for one, scheme in ((alike, Scheme()), (model, named), (inside, Scheme())):
        assert not joins(quantize(one, feeds(one, 2), scheme))
    assert not joins(quantize(model, feeds(model, 2), Scheme(keep_wide=False)))
