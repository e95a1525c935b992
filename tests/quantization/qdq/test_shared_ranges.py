"""What shares an encoding keeps its values, whatever range an operator among them has by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import snapq
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.precision import ActivationType
from snapq.quantization.encodings import QuantType, asymmetric
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
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


def joined_and_scattered() -> ir.Model:
    """Two Sigmoids that a Concat joins, in front of movement into a wider tensor."""
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0), pads=[1] * 4)
    first, second = (
        b.add("Sigmoid", b.add("Slice", wide, *(np.array([n]) for n in (at, at + 1, 1))))
        for at in (0, 1)
    )
    joined = b.add("Concat", first, second, axis=1)
    return b.model(b.add("ScatterElements", wide, INDICES, joined, axis=1))


def joined_with(value: float) -> ir.Model:
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0))
    return b.model(
        b.add("Concat", b.add("Sigmoid", wide), np.full((1, 1, 6, 6), value, "f"), axis=1)
    )


MODELS = {
    "sigmoid scattered": scattered("Sigmoid"),
    "softmax scattered": scattered("Softmax"),
    "tanh moved and scattered": scattered("Tanh", movement=True),
    "sigmoid added by a scatter": scattered("Sigmoid", reduction="add"),
    "tanh scattered into sigmoid": of_two_ranges(),
    "two sigmoids joined and scattered": joined_and_scattered(),
    "sigmoid joined with 5": joined_with(5),
    "sigmoid padded with -3": padded("Sigmoid", -3),
    "tanh padded with 5": padded("Tanh", 5),
    "cubic behind relu": resized("Relu", "cubic"),
    "cubic behind sigmoid": resized("Sigmoid", "cubic"),
    "relu behind cubic": resized("Relu", "cubic", before=False),
    "relu behind linear": resized("Relu", "linear", before=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_shared_encoding_holds_all_values(name: str) -> None:
    model = MODELS[name]
    scheme = Scheme(activations=ActivationType.UINT16)
    result = quantize(model, feeds(model, 4), scheme).model
    there, here = CpuModel(model, optimize=False).session, CpuModel(result, optimize=False).session
    for sample in feeds(model, 2):
        assert decibels(there.run(None, sample)[0], here.run(None, sample)[0]) > 38


def all_at_once() -> ir.Model:
    """What the NPU computes wrongly in encodings that are not its own, as outputs of one model."""
    b = Builder()
    wide = b.add("Conv", b.feed("x", 1, 6, 8, 8), b.normal(4, 6, 3, 3, scale=1.0), pads=[1] * 4)
    some = b.add("Slice", wide, *(np.array([n]) for n in (0, 2, 1)))
    outputs = [
        b.add("ScatterElements", wide, INDICES, b.add(operator, some), axis=1)
        for operator in ("Sigmoid", "Softmax", "Tanh", "HardSigmoid")
    ]
    widths = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    outputs.append(b.add("Pad", b.add("Sigmoid", wide), widths, np.array(-3, np.float32)))
    outputs.append(b.add("Resize", b.add("Tanh", wide), "", FOUR_TIMES, mode="cubic"))
    outputs.append(b.add("Resize", b.add("Relu", wide), "", FOUR_TIMES, mode="cubic"))
    return b.model(*outputs)


@pytest.mark.npu
@pytest.mark.parametrize(
    ("activations", "device"),
    [
        (ActivationType.UINT8, "qcs6490"),
        (ActivationType.UINT8, "qcs9075"),
        (ActivationType.UINT16, "qcs6490"),
        (ActivationType.UINT16, "qcs9075"),
        (ActivationType.UINT16, "sm8850"),
    ],
)
def test_the_npu_computes_what_float_does(
    activations: ActivationType, device: str, tmp_path: Path
) -> None:
    model = all_at_once()
    scheme = Scheme(activations=activations, architecture=find(device).architecture)
    io.save(quantize(model, feeds(model, 4), scheme).model, tmp_path / "model.onnx")
    (sample,) = feeds(model, 1)
    (found,) = snapq.simulate(tmp_path / "model.onnx", device, [sample])
    truth = CpuModel(model, optimize=False).session.run(None, sample)
    measured = [decibels(*pair) for pair in zip(truth, found.values(), strict=True)]
    assert min(measured) > (28 if activations is ActivationType.UINT8 else 38), measured


@pytest.mark.parametrize(
    ("operator", "kind", "low", "high", "kept"),
    [
        ("Tanh", QuantType.UINT16, -0.5, 0.8, False),
        ("Tanh", QuantType.UINT16, -1.5, 1.5, True),
        ("Sigmoid", QuantType.UINT16, 0.0, 0.9, False),
        ("Softmax", QuantType.UINT16, 0.0, 0.9, True),
        ("Softmax", QuantType.UINT8, -0.5, 0.8, False),
        ("Softmax", QuantType.UINT8, 0.0, 0.9, True),
        ("Tanh", QuantType.UINT8, -0.5, 0.8, True),
    ],
)
def test_given_encodings_that_the_npu_gets_wrong_give_way(
    operator: str, kind: QuantType, low: float, high: float, kept: bool
) -> None:
    b = Builder()
    model = b.model(b.add(operator, b.feed("x", 1, 4, 8, 8)))
    (name,) = (str(value.name) for value in model.graph.outputs)
    given = asymmetric(low, high, kind)
    result = quantize(
        model, feeds(model, 2), Scheme(activations=ActivationType(kind.value)), fixed={name: given}
    )
    assert (result.encodings[name] == given) is kept
    assert any("wrong values" in str(note) for note in result.notes) is not kept


def test_a_fixed_range_stays_where_all_lies_within_it() -> None:
    model = padded("Sigmoid", 0)
    result = quantize(model, feeds(model, 4), Scheme())
    (sigmoid,) = (n.outputs[0].name for n in model.graph if n.op_type == "Sigmoid")
    output = str(model.graph.outputs[0].name)
    assert result.encodings[output] == result.encodings[str(sigmoid)]
    assert "Mul" not in {node.op_type for node in result.model.graph}


def probabilities(*, reshaped: bool) -> ir.Model:
    b = Builder()
    shares = b.add("Softmax", b.feed("x", 1, 4), axis=-1)
    return b.model(b.add("Reshape", shares, np.array([4, 1])) if reshaped else shares)


@pytest.mark.parametrize("reshaped", [False, True])
def test_a_probability_of_one_leaves_the_model_as_one(reshaped: bool) -> None:
    model = probabilities(reshaped=reshaped)
    sure = {"x": np.float32([[20, -20, -20, -20]])}
    result = quantize(model, [sure, *feeds(model, 2)], Scheme()).model
    assert CpuModel(result, optimize=False).session.run(None, sure)[0].max() == 1.0


def test_a_softmax_inside_keeps_the_scale_of_the_npu() -> None:
    b = Builder()
    shares = b.add("Softmax", b.feed("x", 1, 4), axis=-1)
    model = b.model(b.add("Gemm", shares, b.normal(4, 4)))
    found = quantize(model, feeds(model, 2), Scheme()).encodings[shares]
    assert float(found.scale) == 1 / 256
