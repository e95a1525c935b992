"""What shares an encoding keeps its values, whatever range an operator among them has by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import snapq
from snapq.cpu import CpuModel
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds

INDICES = np.ascontiguousarray(
    np.broadcast_to(np.arange(2)[None, :, None, None], (1, 2, 8, 8)).astype(np.int64)
)
FOUR_TIMES = np.array([1, 1, 4, 4], np.float32)


def scattered(operator: str, *, movement: bool = False, reduction: str = "none") -> ir.Model:
    """Some channels of a layer through an operator of a fixed range, and back into the layer."""
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0), pads=[1] * 4)
    some = b.add(operator, b.add("Slice", wide, *(np.array([n]) for n in (0, 2, 1))))
    if movement:
        some = b.add("Transpose", b.add("Transpose", some, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
    options = {"axis": 1, "reduction": reduction}
    return b.model(b.add("ScatterElements", wide, INDICES, some, **options))


def of_two_ranges() -> ir.Model:
    """A Tanh written into a Sigmoid."""
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0), pads=[1] * 4)
    some = b.add("Tanh", b.add("Slice", wide, *(np.array([n]) for n in (0, 2, 1))))
    return b.model(b.add("ScatterElements", b.add("Sigmoid", wide), INDICES, some, axis=1))


def padded(operator: str, value: float) -> ir.Model:
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0))
    widths = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    return b.model(b.add("Pad", b.add(operator, wide), widths, np.array(value, np.float32)))


def resized(operator: str, mode: str, *, before: bool = True) -> ir.Model:
    """A Resize behind an operator, or in front of it."""
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0), pads=[1] * 4)
    for step in (operator, "Resize") if before else ("Resize", operator):
        resize = step == "Resize"
        wide = b.add("Resize", wide, "", FOUR_TIMES, mode=mode) if resize else b.add(step, wide)
    return b.model(wide)


MODELS = {
    "sigmoid scattered": scattered("Sigmoid"),
    "softmax scattered": scattered("Softmax"),
    "tanh moved and scattered": scattered("Tanh", movement=True),
    "sigmoid added by a scatter": scattered("Sigmoid", reduction="add"),
    "tanh scattered into sigmoid": of_two_ranges(),
    "sigmoid padded with -3": padded("Sigmoid", -3),
    "tanh padded with 5": padded("Tanh", 5),
    "cubic behind relu": resized("Relu", "cubic"),
    "cubic behind sigmoid": resized("Sigmoid", "cubic"),
    "relu behind cubic": resized("Relu", "cubic", before=False),
    "relu behind linear": resized("Relu", "linear", before=False),
}


def db(truth: np.ndarray, found: np.ndarray) -> float:
    return sqnr(float(np.square(truth).sum()), float(np.square(truth - found).sum()))


@pytest.mark.parametrize("name", MODELS)
def test_a_shared_encoding_holds_all_values(name: str) -> None:
    model = MODELS[name]
    scheme = Scheme(activations=ActivationType.UINT16)
    result = quantize(model, feeds(model, 4), scheme).model
    there, here = CpuModel(model, optimize=False).session, CpuModel(result, optimize=False).session
    for sample in feeds(model, 2):
        assert db(there.run(None, sample)[0], here.run(None, sample)[0]) > 35


# At 16 bits the NPU gives Sigmoid and Tanh their own encoding whatever the model says.
@pytest.mark.npu
@pytest.mark.parametrize(
    ("name", "activations"),
    [
        ("sigmoid scattered", ActivationType.UINT8),
        ("tanh moved and scattered", ActivationType.UINT8),
        ("sigmoid padded with -3", ActivationType.UINT8),
        ("cubic behind relu", ActivationType.UINT16),
        ("cubic behind sigmoid", ActivationType.UINT16),
    ],
)
def test_the_npu_computes_what_float_does(
    name: str, activations: ActivationType, tmp_path: Path
) -> None:
    model = MODELS[name]
    result = quantize(model, feeds(model, 4), Scheme(activations=activations)).model
    io.save(result, tmp_path / "model.onnx")
    samples = list(feeds(model, 2))
    found = snapq.simulate(tmp_path / "model.onnx", "qcs9075", samples)
    for sample, answer in zip(samples, found, strict=True):
        (output,) = answer.values()
        assert db(CpuModel(model, optimize=False).session.run(None, sample)[0], output) > 33


def test_a_fixed_range_stays_where_all_lies_within_it() -> None:
    model = padded("Sigmoid", 0)
    encodings = quantize(model, feeds(model, 4), Scheme()).encodings
    (sigmoid,) = (n.outputs[0].name for n in model.graph if n.op_type == "Sigmoid")
    assert encodings[str(model.graph.outputs[0].name)] == encodings[str(sigmoid)]
