"""What kernels of the NPU compute wrongly comes out right, as it is written for them otherwise.

Each model holds several kinds, an output each, as to start the simulator takes longest.
"""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.graph.float16.run import write_for_float16
from snapq.graph.prepare import prepare
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from snapq.precision import ActivationType, WeightType
from snapq.quantization.encodings import Encoding, QuantType
from snapq.quantization.granularity import PER_TENSOR
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import Builder, feeds, scalar

pytestmark = pytest.mark.npu


def conv(b, x, channels=8, size=1, **attributes):
    weight = b.normal(channels, channels, size, size, scale=1 / np.sqrt(channels * size))
    return b.add("Conv", x, weight, b.normal(channels), **attributes)


def gates_of_ten_rows():
    """Behind a Conv, a depthwise and a transposed one, a normalization and a matrix product."""
    b = Builder(opset=24)
    x, half = b.feed("x", 1, 8, 10, 12), b.feed("half", 1, 8, 5, 6)
    full = b.add("ConvTranspose", half, b.normal(8, 8, 2, 2, scale=0.4), strides=[2, 2])
    depthwise = b.add("Conv", x, b.normal(8, 1, 3, 3), pads=[1] * 4, group=8)
    normal = b.add("InstanceNormalization", x, b.normal(8) + 1, b.normal(8))
    rows = b.add("MatMul", b.feed("rows", 1, 10, 12, 8), b.normal(8, 8, scale=0.4))
    thrice, given = conv(b, x), conv(b, x)
    return b.model(
        b.add("Mul", thrice, b.add("Sigmoid", b.add("Mul", thrice, scalar(3)))),
        b.add("Mul", given, b.add("Sigmoid", b.add("Neg", given))),
        *(b.add("Swish", one) for one in (conv(b, x, size=3, pads=[1] * 4), full, depthwise)),
        *(b.add("Mul", b.add("Sigmoid", one), one) for one in (normal, rows)),
    )


def narrow_gates():
    """Maps of few columns and channels, whatever their height, at 9 and at 12 rows, and above."""
    b = Builder(opset=24)
    shapes = (("x", 1, 8, 20, 4), ("y", 1, 64, 9, 9), ("z", 1, 64, 12, 3), ("w", 1, 8, 24, 24))
    return b.model(*(b.add("Swish", conv(b, b.feed(*one), one[2])) for one in shapes))


def softpluses():
    """Of a map that is left unwritten, of large values, and as Mish has it."""
    b = Builder()
    x = b.feed("x", 1, 8, 10, 12)
    far = b.add("Mul", conv(b, x), scalar(200))
    mish = conv(b, b.feed("narrow", 1, 8, 20, 4))
    mish = b.add("Mul", mish, b.add("Tanh", b.add("Softplus", mish)))
    return b.model(b.add("Softplus", conv(b, x)), b.add("Softplus", far), mish)


def large_sums():
    """Of more than 32,768 codes, most of them high."""
    b = Builder()
    high = b.add("Clip", b.add("Add", b.feed("x", 1, 2, 256, 256), scalar(8)), scalar(0), scalar(9))
    rows = b.add("Reshape", high, np.array([1, 65536, 2]))
    total = b.add("Mul", high, scalar(0.01))
    return b.model(
        b.add("GlobalAveragePool", high),
        b.add("ReduceMean", rows, np.array([1]), keepdims=0),
        b.add("ReduceSum", total, np.array([2, 3])),
    )


def last_rows():
    """Picked from rows of 8 bytes, of 8 bits or of 16, and behind another axis; and reciprocals."""
    b = Builder()
    picks = np.r_[np.arange(20), np.full(20, 39)]
    x, wide = b.add("Tanh", b.feed("x", 40, 8)), b.add("Tanh", b.feed("wide", 2, 40, 8))
    boxes = b.add("Tanh", b.feed("boxes", 40, 4))
    small = b.add("Add", b.add("Mul", b.add("Abs", x), scalar(0.1)), scalar(0.02))
    return b.model(
        *(b.add("Gather", one, picks) for one in (x, boxes)),
        b.add("Gather", wide, picks, axis=1),
        b.add("Reciprocal", small),
    )


def clips():
    """Beside a wider tensor in one output, behind a Conv and an Add, and with a bound above 0."""
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    given, total = conv(b, x), b.add("Add", x, scalar(0.5))
    six, pooled = (b.add("Clip", one, scalar(0), scalar(6)) for one in (given, total))
    pooled = b.add("MaxPool", pooled, kernel_shape=[1, 1])
    return b.model(
        b.add("Concat", six, x, axis=1),
        b.add("Concat", pooled, total, axis=1),
        b.add("Clip", conv(b, x), scalar(0.1), scalar(2)),
    )


def edges_of_maps():
    """Pads of maps of one row or column, means and maxima over small ones."""
    b = Builder()
    row, column = b.feed("row", 1, 4, 1, 3), b.feed("column", 1, 4, 5, 1)
    return b.model(
        b.add("Pad", row, np.array([0, 0, 2, 0, 0, 0, 1, 1])),
        b.add("Pad", column, np.array([0, 0, 3, 0, 0, 0, 2, 0]), mode="edge"),
        b.add("GlobalMaxPool", column),
        b.add("AveragePool", b.feed("one", 1, 8, 1, 1), kernel_shape=[3, 3], pads=[1] * 4),
    )


def uneven_depthwise():
    """A strided depthwise Conv whose channels are up to 200 times as large as others."""
    b = Builder()
    weight = (
        b.normal(16, 1, 3, 3) * np.geomspace(0.005, 1, 16, dtype=np.float32)[:, None, None, None]
    )
    x = b.feed("x", 1, 16, 16, 16)
    return b.model(b.add("Conv", x, weight, b.normal(16), group=16, strides=[2, 2], pads=[1] * 4))


def sixteen_places():
    """Tanh of 16 rows, of a map and of a signal; a layer's result in 5 dimensions."""
    b = Builder()
    weight, signal = b.normal(8, 8), b.feed("signal", 1, 8, 16)
    rows = b.add("MatMul", b.feed("x", 16, 8), weight)
    places = conv(b, b.feed("map", 2, 8, 1, 16))
    volume = b.add("Gemm", b.feed("flat", 210, 7), b.normal(7, 7), b.normal(7))
    return b.model(
        b.add("Tanh", rows),
        b.add("Tanh", places),
        b.add("Tanh", b.add("Conv", signal, b.normal(8, 8, 1))),
        b.add("Abs", b.add("Reshape", volume, np.array([2, 3, 5, 7, 7]))),
    )


def looked_up_rows():
    """By ids, repeated for heads as rotary position embeddings are."""
    b = Builder()
    x, ids = b.feed("x", 1, 9, 128, 64), b.feed("ids", 1, 128, dtype=TensorProto.INT32)
    rows = b.add("Gather", b.normal(256, 64), ids)
    rows = b.add("Reshape", rows, np.array([1, 1, 128, 64]))
    return b.model(b.add("Add", x, b.add("Mul", x, rows)))


def gathered_elements():
    """Joined with values of another range."""
    b = Builder()
    scores = b.add("Sigmoid", b.feed("x", 1, 17, 64))
    place = b.add("ArgMax", scores, axis=2)
    best = b.add("ReduceMax", scores, np.array([2]))
    found = b.add("GatherElements", scores, place, axis=2)
    return b.model(b.add("Concat", b.add("Mul", best, scalar(0.7)), found, axis=2))


def filled_up():
    """Pads behind the last axis and beside another one, alone and one behind the other."""
    b = Builder()
    x, row, column = b.feed("x", 1, 64, 20, 20), [0] * 6 + [1, 0], [0] * 7 + [1]
    turned = b.add("Transpose", b.add("Pad", x, np.array(row)), perm=[0, 2, 3, 1])
    joined = b.add("Concat", x, np.zeros((1, 64, 1, 20), np.float32), axis=2)
    return b.model(
        b.add("Pad", x, np.array([0, 0, 1, 0, 0, 0, 1, 1])),
        b.add("Pad", b.add("Pad", x, np.array(row)), np.array(column)),
        b.add("Pad", b.add("Pad", x, np.array(row)), np.array(column), scalar(1)),
        b.add("Concat", joined, np.zeros((1, 64, 21, 1), np.float32), axis=3),
        b.add("Pad", turned, np.array(column)),
    )


def padded_rows():
    """Zeros behind rows that a layer and a normalization read, and a Concat with zeros."""
    b = Builder()
    x = b.add("Relu", b.feed("x", 8, 33))
    rows = b.add("Pad", x, np.array([0, 0, 0, 3]))
    joined = b.add("Concat", b.feed("z", 1, 8, 17), np.zeros((1, 8, 4), np.float32), axis=2)
    return b.model(
        b.add("MatMul", rows, b.normal(36, 20)),
        b.add("LayerNormalization", b.add("Sin", rows), b.normal(36)),
        b.add("MatMul", joined, b.normal(21, 12)),
    )


def means_and_groups():
    """Means over 5 x 5 with strides, and over 8 x 8; narrow groups that are normalized."""
    b = Builder()
    x = b.feed("x", 1, 4, 22, 20)
    groups = b.add("Conv", b.feed("z", 1, 38, 5, 17), b.normal(30, 19, 1, 1), group=2)
    ones = [np.ones(30, np.float32), np.zeros(30, np.float32)]
    return b.model(
        *(
            b.add("AveragePool", x, kernel_shape=[5, 5], strides=[step] * 2, pads=[2] * 4)
            for step in (3, 4)
        ),
        b.add("AveragePool", x, kernel_shape=[8, 8], pads=[3] * 4, count_include_pad=1),
        b.add("InstanceNormalization", groups, *ones),
    )


def long_rows():
    """Some of 260 elements, and of 264, which have 4 and 8 behind 256; those of a short table."""
    b = Builder()
    picks = np.r_[np.arange(20), np.full(20, 24)]
    return b.model(*(b.add("Gather", b.feed(f"x{n}", 1, 25, n), picks, axis=1) for n in (260, 264)))


def channels_of_next_to_nothing():
    """One of zeros, and one of small weights, beside others."""
    b = Builder()
    weight, bias = b.normal(32, 16, 1, 1), b.normal(32)
    weight[2], weight[5], bias[2], bias[5] = 0, 1e-5 * weight[5], -1e-3, -1e-3
    small = b.add("Mul", b.feed("x", 1, 16, 9, 9), scalar(0.01))
    return b.model(b.add("Conv", small, weight, bias))


def joined_numbers():
    """Constants of one number behind normalizations, activations and layers; boxes' parts."""
    b = Builder()
    x, one, boxes = b.feed("x", 3, 8), b.feed("one", 1, 8), b.feed("boxes", 1, 3, 5, 5, 8)
    layer = b.add("MatMul", x, b.normal(8, 8))
    maps = b.add("Conv", b.feed("maps", 1, 8, 6, 6), b.normal(8, 8, 1, 1))
    beside = b.add("Concat", maps, np.ones((1, 2, 6, 6), np.float32), axis=1)
    rows = {
        b.add("LayerNormalization", x, b.normal(8) + 1): 0.0,
        b.add("Softmax", x): 1.0,
        b.add("Sigmoid", layer): 0.0,
        b.add("Relu", layer): -2.0,
    }
    return b.model(
        *(b.add("Concat", row, np.full((3, 5), c, np.float32), axis=-1) for row, c in rows.items()),
        b.add("Concat", b.add("Softmax", one), np.ones((1, 1), np.float32), axis=-1),
        b.add("Conv", beside, b.normal(8, 10, 3, 3)),
        b.add("Concat", b.add("Sigmoid", boxes), b.add("Relu", boxes), axis=-1),
    )


@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_numbers_that_are_joined_to_others_are_right(activations, tmp_path: Path):
    model = joined_numbers()
    samples = feeds(model, 1)
    prepared = prepare(model, {}).model
    result = quantize(prepared, samples, Scheme(activations=activations, architecture=73)).model
    assert all(value.uses() or value.is_graph_output() for n in result.graph for value in n.outputs)
    expected = CpuModel(result, optimize=False).session.run(None, samples[0])
    least = [min(one - 3, 60) for one in levels(model, samples[0], expected)]
    assert min(least) > 30
    agrees(model, result, samples[0], tmp_path, least)


@pytest.mark.parametrize(
    "make",
    [
        channels_of_next_to_nothing,
        filled_up,
        padded_rows,
        means_and_groups,
        long_rows,
        gates_of_ten_rows,
        narrow_gates,
        softpluses,
        large_sums,
        last_rows,
        clips,
        edges_of_maps,
        uneven_depthwise,
        sixteen_places,
        looked_up_rows,
        gathered_elements,
    ],
)
def test_at_16_bits_the_npu_computes_what_the_q_dq_model_says(make, tmp_path: Path):
    model = make()
    samples = feeds(model, 1)
    prepared = prepare(model, {}).model
    scheme = Scheme(activations=ActivationType.UINT16, architecture=73)
    result = quantize(prepared, samples, scheme).model
    expected = CpuModel(result, optimize=False).session.run(None, samples[0])
    least = [min(one - 3, 70) for one in levels(model, samples[0], expected)]
    agrees(model, result, samples[0], tmp_path, least)


def numbers_beyond_what_operators_bear():
    """Large exponents, and squares that add up to more than fp16 holds."""
    b = Builder()
    x = b.feed("x", 1, 8, 10, 12)
    far = b.add("Mul", x, scalar(100))
    power = b.add("Exp", b.add("Add", b.add("Min", far, scalar(0)), scalar(0.5)))
    return b.model(
        b.add("Div", power, b.add("ReduceSum", power, np.array([-1]))),
        *(b.add("Softplus", one) for one in (x, far)),
        b.add("LogSoftmax", far, axis=-1),
        b.add("ReduceLogSumExp", far, np.array([-1]), keepdims=0),
        b.add("ReduceL2", far, np.array([-1])),
        b.add("Mul", b.add("Add", b.add("Tanh", x), b.normal(8, 1, 1)), scalar(0.5)),
        b.add("Mul", b.add("Add", b.add("Tanh", x), b.normal(12)), scalar(0.5)),
        b.add("Conv", b.add("Tanh", x), b.normal(8, 8, 1, 3), pads=[1] * 4),
    )


def kernels_that_leave_parts_unwritten():
    """Pads, pools, convolutions, and what is added in front of a Clip."""
    b = Builder()
    x, nine = b.feed("x", 1, 8, 14, 14), b.feed("nine", 1, 9, 40, 5)
    tanh = b.add("Tanh", conv(b, b.feed("small", 1, 8, 4, 4)))
    return b.model(
        b.add("Pad", x, np.array([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge"),
        b.add("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4),
        b.add("Clip", b.add("Add", b.add("Mul", nine, scalar(0.2)), scalar(0.5)), scalar(0)),
        b.add("Conv", b.feed("wide", 1, 257, 8), b.normal(257, 1, 3), group=257, pads=[1, 1]),
        b.add("Conv", b.feed("short", 1, 8, 8), b.normal(4, 8, 5), pads=[2, 2]),
        b.add("Softmax", b.add("Mul", b.feed("rows", 1, 6), scalar(-0.8)), axis=-1),
        b.add("Sigmoid", b.add("Sub", b.feed("low", 1, 1, 20, 20), scalar(8))),
        b.add("Mul", tanh, b.add("Neg", tanh)),
    )


def windows_with_strides():
    """The largest of some, means of two, and what a volume has between its samples."""
    b = Builder()
    x, volume = b.feed("x", 1, 4, 24, 20), b.feed("volume", 1, 6, 4, 7, 12)
    twice, behind = np.float32([1, 1, 2, 2, 2]), np.array([0, 0, 0, 3])
    return b.model(
        *(
            b.add("MaxPool", x, kernel_shape=[taps] * 2, strides=[2, 2], pads=[pad] * 4)
            for taps, pad in ((4, 1), (6, 3), (7, 3), (8, 0))
        ),
        b.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4),
        b.add("Resize", volume, "", twice, mode="linear"),
        b.add("MatMul", b.add("Pad", b.feed("rows", 8, 33), behind), b.normal(36, 9)),
    )


def rows_taken_apart():
    """Of a Conv over rows and over maps of one row, straight and behind a Transpose."""
    b = Builder()
    rows, maps = b.feed("x", 1, 4, 12), b.feed("maps", 1, 4, 1, 16)
    parts = b.add("Conv", rows, b.normal(8, 4, 3), pads=[1, 1])
    others = b.add("Conv", rows, b.normal(8, 4, 3), pads=[1, 1])
    turned = b.add("Transpose", others, perm=[0, 2, 1])
    line = b.add("Conv", maps, b.normal(8, 4, 3, 3), pads=[1] * 4)
    last = b.add("Transpose", line, perm=[0, 2, 3, 1])
    return b.model(
        b.add("Reshape", parts, np.array([1, 8, 3, 4])),
        b.add("Reshape", turned, np.array([1, 3, 4, 8])),
        b.add("Reshape", turned, np.array([3, 4, 8])),
        b.add("Reshape", last, np.array([1, 2, 8, 8])),
    )


def whole_numbers():
    """Fractions that Casts to integers cut off: back, of 8 bits, and reshaped."""
    b = Builder()
    x = b.feed("x", 4, 8)
    far = b.add("Mul", x, np.full((4, 8), 4.3, np.float32))
    back = b.add("Cast", b.add("Cast", far, to=TensorProto.INT32), to=TensorProto.FLOAT)
    small = b.add("Cast", b.add("Abs", far), to=TensorProto.UINT8)
    moved = b.add("Unsqueeze", b.add("Cast", far, to=TensorProto.INT64), np.array([0]))
    return b.model(
        back,
        b.add("Cast", small, to=TensorProto.FLOAT),
        b.add("Cast", moved, to=TensorProto.FLOAT),
    )


@pytest.mark.parametrize(
    "make",
    [
        whole_numbers,
        numbers_beyond_what_operators_bear,
        kernels_that_leave_parts_unwritten,
        rows_taken_apart,
        windows_with_strides,
    ],
)
def test_in_fp16_the_npu_computes_what_the_float_model_says(make, tmp_path: Path):
    model = make()
    result = prepare(model, {}).model
    write_for_float16(result)
    agrees(model, result, feeds(model, 1)[0], tmp_path, 40)


def test_integers_on_their_way_are_what_the_model_says(tmp_path: Path):
    b = Builder()
    fed = b.feed("i", 6, dtype=TensorProto.INT64)
    whole = b.add("Cast", b.feed("x", 40, 2), to=TensorProto.INT32)
    rows = b.add("Gather", whole, np.r_[np.arange(20), np.full(20, 39)])
    hot = b.add("OneHot", b.add("Sub", np.int64([2]), fed), *one_hot(9))
    seventh = b.add("Mod", b.add("Mul", fed, np.array(-50021)), np.array(7))
    far = b.add("Gather", b.feed("far", 3000, 8), b.add("Mul", fed, np.array(-599)))
    model = b.model(
        b.add("Cast", rows, to=TensorProto.FLOAT),
        hot,
        b.add("Cast", seventh, to=TensorProto.FLOAT),
        b.add("Relu", far),
    )
    sample = {key: 30 * value for key, value in feeds(model, 1)[0].items()}
    sample["i"] = np.arange(6)
    agrees(model, prepare(model, {}).model, sample, tmp_path, [100, 100, 100, 60])


def one_hot(depth):
    return np.array(depth), np.float32([0, 1])


def test_what_stays_in_float_of_a_quantized_model_is_written_for_fp16(tmp_path: Path):
    b = Builder()
    x = b.add("Mul", b.feed("x", 1, 8, 10, 12), scalar(100))
    norm, total = (b.add(op, x, np.array([-1])) for op in ("ReduceL2", "ReduceLogSumExp"))
    model = b.model(norm, total)
    samples = feeds(model, 1)
    result = quantize(prepare(model, {}).model, samples, Scheme(architecture=73)).model
    agrees(model, result, samples[0], tmp_path, 40)


def levels(model, sample, found):
    """The SQNR of each output, against the float model."""
    truths = CpuModel(model).session.run(None, sample)
    return [decibels(truth, values) for truth, values in zip(truths, found, strict=True)]


def agrees(model, result, sample, folder: Path, least):
    """Asserts that the simulator's outputs have so many dB."""
    io.save(result, folder / "model.onnx")
    options, chip = CompileOptions(fp16=True), find("qcs9075")
    (found,) = simulate(folder / "model.onnx", chip, [sample], workers=1, options=options)
    names = [str(value.name) for value in model.graph.outputs]
    reached = levels(model, sample, [found[name] for name in names])
    assert all(np.asarray(reached) > np.asarray(least)), dict(zip(names, reached, strict=True))


@pytest.mark.parametrize("kind", ["one-hot", "unsigned"])
def test_weights_of_16_bit_data_are_held_so_that_no_bit_of_a_product_is_dropped(kind, tmp_path):
    b = Builder()
    weight = np.eye(8, 16, dtype=np.float32) if kind == "one-hot" else np.abs(b.normal(8, 16))
    x = b.add("Tanh", b.feed("x", 1, 16, 4, 4))
    model = b.model(b.add("Conv", x, b.constant(weight.reshape(8, 16, 1, 1), "w")))
    samples = feeds(model, 1)
    if kind == "one-hot":
        given = {"w": Encoding(QuantType.INT8, np.float32(1), np.int8(0))}
        scheme = Scheme(activations=ActivationType.UINT16, granularity=PER_TENSOR, architecture=73)
    else:
        given = {}
        scheme = Scheme(WeightType.UINT8, activations=ActivationType.UINT16, architecture=73)
    result = quantize(prepare(model, {}).model, samples, scheme, fixed=given).model
    expected = CpuModel(result, optimize=False).session.run(None, samples[0])
    least = [min(one - 1, 75) for one in levels(model, samples[0], expected)]
    agrees(model, result, samples[0], tmp_path, least)
