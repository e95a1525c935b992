"""What the simulator computes is what the Q/DQ model says, where operators have their traps."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io
from snapq.graph.prepare import prepare
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import Builder, feeds, scalar


def gates_after_convolutions():
    """Activations whose output is narrower than what the NPU takes it to be."""
    b = Builder(opset=24)
    x = b.feed("x", 1, 8, 6, 6)
    gate = b.add("HardSigmoid", b.add("Conv", x, b.normal(8, 8, 1, 1), b.normal(8) - 1.5))
    swish = b.add("Swish", b.add("Conv", x, b.normal(8, 8, 1, 1, scale=2.0), b.normal(8)))
    log = b.add("Log", b.add("Add", b.add("Abs", x), np.ones(1, np.float32)))
    return b.model(b.add("Mul", x, gate), b.add("Neg", swish), b.add("Neg", log))


def heads_that_are_normalized():
    """Few values over two dimensions of rows, as in Qwen3."""
    b = Builder(opset=23)
    heads = b.add("Reshape", b.feed("x", 1, 16, 64), np.array([1, 16, 4, 16]))
    normal = b.add("RMSNormalization", heads, np.ones(16, np.float32), axis=-1)
    return b.model(b.add("Transpose", normal, perm=[0, 2, 1, 3]))


def twelve_heads_that_are_normalized():
    """The one number of heads, with 9 to 11, that the NPU gets wrong."""
    b = Builder(opset=23)
    x = b.add("Tanh", b.feed("x", 1, 12, 5, 64))
    return b.model(b.add("RMSNormalization", x, np.ones(64, np.float32), axis=-1))


def logits_with_a_constant_mask():
    """Causal attention: 0 and -inf added to small logits."""
    b = Builder()
    mask = np.triu(np.full((16, 16), -np.inf, np.float32), 1)
    scores = b.add("MatMul", b.feed("x", 1, 4, 16, 8), b.normal(8, 16))
    return b.model(b.add("Softmax", b.add("Add", scores, mask), axis=-1))


def attention_with_a_mask_that_is_fed():
    """As PyTorch exports it: rows that -inf masks wholly would be NaN, and become 0."""
    b = Builder()
    kept = b.add("Or", b.feed("kept", 1, 1, 1, 16, dtype=onnx.TensorProto.BOOL), np.eye(16)[0] > 0)
    mask = b.add("Where", kept, scalar(0), scalar(-np.inf))
    scores = b.add("MatMul", b.feed("x", 1, 4, 16, 8), b.normal(8, 16))
    shares = b.add("Softmax", b.add("Add", scores, mask), axis=-1)
    shares = b.add("Where", b.add("IsNaN", shares), scalar(0), shares)
    return b.model(b.add("MatMul", shares, b.normal(16, 8)))


def values_at_the_ends_of_their_range():
    """What the NPU would wrap around: normalized vectors, and sums along a dimension."""
    b = Builder()
    x = b.feed("x", 1, 64, 8)
    return b.model(b.add("LpNormalization", x, p=2), b.add("CumSum", x, np.array(1)))


def windows_that_are_masked():
    """A mask of -100, as Swin has it, which is not far below the logits."""
    b = Builder()
    mask = np.where(np.arange(16) // 4 == np.arange(16)[:, None] // 4, 0, -100).astype(np.float32)
    scores = b.add("MatMul", b.feed("x", 1, 2, 16, 8), b.normal(8, 16, scale=1.0))
    scores = b.add("Reshape", b.add("Add", scores, mask), np.array([2, 16, 16]))
    return b.model(b.add("Softmax", scores, axis=-1))


@pytest.mark.npu
@pytest.mark.parametrize(
    ("make", "activations", "wanted"),
    [
        (values_at_the_ends_of_their_range, "uint8", 18.0),
        (values_at_the_ends_of_their_range, "uint16", 60.0),
        (windows_that_are_masked, "uint8", 25.0),
        (attention_with_a_mask_that_is_fed, "uint8", 25.0),
        (gates_after_convolutions, "uint8", 25.0),
        (gates_after_convolutions, "uint16", 45.0),
        (heads_that_are_normalized, "uint8", 30.0),
        (twelve_heads_that_are_normalized, "uint8", 30.0),
        (logits_with_a_constant_mask, "uint8", 30.0),
        (logits_with_a_constant_mask, "uint16", 50.0),
    ],
)
def test_the_npu_is_as_near_to_float_as_the_q_dq_model(make, activations, wanted, tmp_path: Path):
    model = prepare(make(), {}).model
    scheme = Scheme(activations=ActivationType(activations), architecture=73)
    io.save(quantize(model, feeds(model, 8), scheme).model, tmp_path / "model.onnx")
    samples = feeds(model, 2)
    reference = CpuModel(model).session
    options = CompileOptions(fp16=True)
    outputs = simulate(
        tmp_path / "model.onnx", find("qcs9075"), samples, workers=1, options=options
    )
    for sample, found in zip(samples, outputs, strict=True):
        for name, truth in zip(found, reference.run(list(found), sample), strict=True):
            noise = float(np.square(truth - found[name]).sum())
            assert sqnr(float(np.square(truth).sum()), noise) > wanted, name


def transposed_convolutions():
    """Output padding, five taps depthwise, volumes in groups."""
    b = Builder()
    x, volume = b.feed("x", 1, 4, 6, 5), b.feed("volume", 1, 4, 3, 4, 5)
    three, five, cube = b.normal(4, 1, 3, 3), b.normal(4, 1, 5, 5), b.normal(4, 3, 2, 2, 2)
    full = b.normal(4, 3, 3, 3)
    own = {"strides": [2, 2], "group": 4}
    return b.model(
        b.add("ConvTranspose", x, three, pads=[1] * 4, output_padding=[1, 1], **own),
        b.add("ConvTranspose", x, five, **own),
        b.add("ConvTranspose", x, full, strides=[3, 3], output_padding=[1, 1]),
        b.add("ConvTranspose", volume, cube, strides=[2, 2, 2], group=2),
    )


def pools():
    """Windows side by side, of an even size, with padding that counts, of a volume."""
    b = Builder()
    x, volume = b.feed("x", 1, 4, 16, 15), b.feed("volume", 1, 2, 6, 6, 6)
    tiles = {"kernel_shape": [3, 3], "strides": [3, 3], "count_include_pad": 1}
    cubes = {"kernel_shape": [3, 3, 3], "strides": [2, 2, 2], "count_include_pad": 1}
    return b.model(
        b.add("AveragePool", b.feed("even", 1, 4, 16, 16), kernel_shape=[8, 8], strides=[8, 8]),
        b.add("AveragePool", x, pads=[1, 1, 1, 1], **tiles),
        b.add("AveragePool", b.add("Neg", x), pads=[0, 0, 2, 2], ceil_mode=1, **tiles),
        b.add("AveragePool", volume, pads=[1] * 6, **cubes),
    )


def padded_values():
    """Padding behind an image and a sequence, and depthwise convolutions of few taps."""
    b = Builder()
    x, sequence = b.add("Neg", b.feed("x", 1, 3, 10, 11)), b.add("Neg", b.feed("sequence", 6, 5, 7))
    behind = b.add("Pad", x, np.array([0, 0, 0, 0, 0, 0, 1, 2]))
    longer = b.add("Pad", sequence, np.array([0, 0, 0, 0, 1, 2]))
    short = b.add("Conv", x, b.normal(3, 1, 2, 2), strides=[2, 2], group=3)
    return b.model(b.add("Neg", behind), b.add("Neg", longer), short)


def picked_and_masked():
    """Rows counted from the end, and zeros in the place of what a mask leaves out."""
    b = Builder()
    x, indices = b.feed("x", 8, 6), b.feed("indices", 4, dtype=TensorProto.INT64)
    mask = b.add("Less", x, np.float32([0.1]))
    rows = b.add("Gather", x, b.add("Sub", b.add("Min", indices, np.int64([9])), np.int64([5])))
    masked = b.add("Where", mask, x, np.float32([0]))
    return b.model(rows, masked, b.add("Min", x, np.float32([0])))


def normalized_batch():
    """A batch normalization that no layer takes in."""
    b = Builder()
    values = [np.exp(b.normal(32, scale=1.0)), *(b.normal(32, scale=1.0) for _ in range(2))]
    x = b.add("Neg", b.feed("x", 1, 32, 14, 14))
    return b.model(b.add("BatchNormalization", x, *values, np.exp(b.normal(32))))


def sums_and_powers():
    """Sums along the first axis, and powers of one number."""
    b = Builder()
    x = b.feed("x", 6, 5)
    return b.model(b.add("CumSum", x, np.array(0)), b.add("Pow", np.float32([2]), x))


@pytest.mark.npu
@pytest.mark.parametrize("activations", ["uint8", "uint16"])
@pytest.mark.parametrize("make", [transposed_convolutions, pools, padded_values, picked_and_masked])
def test_what_the_npu_computes_otherwise_is_prepared_so_that_it_does_not(
    make, activations, tmp_path: Path
):
    model = make()
    prepared = prepare(model, {}).model
    sample = feeds(model, 1)[0]
    scheme = Scheme(activations=ActivationType(activations), architecture=73)
    io.save(quantize(prepared, [sample], scheme).model, tmp_path / "model.onnx")
    path, options = tmp_path / "model.onnx", CompileOptions(fp16=True)
    (found,) = simulate(path, find("qcs9075"), [sample], workers=1, options=options)
    reference = CpuModel(model).session
    for name, truth in zip(found, reference.run(list(found), sample), strict=True):
        noise = float(np.square(truth - found[name]).sum())
        assert sqnr(float(np.square(truth).sum()), noise) > 30, name


@pytest.mark.parametrize(
    ("activations", "size", "pads"),
    [
        ("uint8", (224, 224), 1),
        ("uint8", (223, 225), 0),
        ("uint8", (8, 8), 0),
        ("uint16", (224, 224), 0),
    ],
)
def test_padding_of_a_picture_is_a_pad_where_that_is_faster_and_right(activations, size, pads):
    b = Builder()
    picture = b.feed("picture", 1, 3, *size)
    first = b.add("Conv", picture, b.normal(8, 3, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2])
    model = b.model(b.add("Conv", first, b.normal(8, 8, 3, 3), pads=[0, 0, 1, 1]))
    result = quantize(model, feeds(model, 4), Scheme(activations=ActivationType(activations)))
    assert [node.op_type for node in result.model.graph].count("Pad") == pads
    sample = feeds(model, 1)[0]
    truth, found = (CpuModel(one).session.run(None, sample)[0] for one in (model, result.model))
    assert decibels(truth, found) > 25


def test_a_reshape_to_one_channel_moves_nothing_on_the_npu():
    b = Builder()
    spectrum = b.add("Reshape", b.feed("sound", 1, 64, 48), np.array([1, 1, 64, 48], np.int64))
    model = b.model(b.add("Conv", spectrum, b.normal(8, 1, 3, 3)))
    result = quantize(model, feeds(model, 4), Scheme())
    moves = [node for node in result.model.graph if node.op_type in ("Reshape", "Transpose")]
    assert [node.op_type for node in moves] == ["Reshape", "Transpose"]
    assert list(moves[0].outputs[0].shape) == [1, 64, 48, 1]
    sample = feeds(model, 1)[0]
    truth, found = (CpuModel(one).session.run(None, sample)[0] for one in (model, result.model))
    assert decibels(truth, found) > 25
