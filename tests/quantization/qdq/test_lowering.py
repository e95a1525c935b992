"""Models are written so that the NPU takes them, and computes them well where that gains."""

import numpy as np
import pytest
from onnx import TensorProto

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph import io
from snapq.graph.prepare import prepare
from snapq.graph.shapes import static_shape
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, observe, quantize
from tests.quantization.odd_models import Builder, feeds


def first_conv(shape, kernel, pads, stride):
    b = Builder()
    weight = b.normal(8, shape[1], *kernel)
    return b.model(b.add("Conv", b.feed("x", *shape), weight, pads=pads, strides=[stride, stride]))


def quantized(model):
    return quantize(model, feeds(model, 1), Scheme(architecture=73)).model


@pytest.mark.parametrize(
    ("shape", "kernel", "pads", "padded"),
    [
        ((1, 3, 224, 224), (3, 3), [1, 1, 1, 1], True),
        ((1, 4, 224, 224), (3, 3), [0, 0, 1, 1], True),
        ((1, 3, 192, 192), (3, 3), [0, 0, 1, 1], False),
        ((1, 3, 240, 240), (3, 3), [0, 0, 1, 1], False),
        ((1, 1, 224, 224), (3, 3), [1, 1, 1, 1], False),
        ((1, 64, 1, 200), (1, 3), [0, 2, 0, 0], False),
    ],
)
def test_a_picture_is_padded_apart_only_where_that_leads_it_the_quicker_way(
    shape, kernel, pads, padded
):
    found = quantized(first_conv(shape, kernel, pads, 1 if kernel[0] == 1 else 2))
    assert any(node.op_type == "Pad" for node in found.graph) == padded


@pytest.mark.npu
def test_padding_apart_costs_less_than_none_at_all():
    def cycles(pads):
        model = quantized(first_conv((1, 3, 224, 224), (3, 3), pads, 2))
        return Model(model, find("qcs9075")).estimate_nodes().total.cycles

    assert cycles([1, 1, 1, 1]) < cycles([0, 0, 0, 0])


@pytest.mark.npu
def test_names_of_our_own_are_in_the_way_of_none_that_the_provider_makes():
    b = Builder()
    rows = b.add("MatMul", b.feed("x", 1, 12, 16), b.normal(16, 16))
    y = b.add("Conv", b.add("Transpose", rows, perm=[0, 2, 1]), b.normal(16, 16, 3), pads=[1, 1])
    model = prepare(b.model(y), {}).model
    assert [node.op_type for node in model.graph][:2] == ["Reshape", "Gemm"]
    assert Model(model, find("qcs9075")).estimate_nodes().total.cycles > 0


def scaled(channels, **attributes):
    b = Builder()
    weight, bias = b.normal(channels, 1, 1, 1), b.normal(channels)
    x = b.feed("x", 1, channels, 3, 4)
    return b.model(b.add("Conv", x, weight, bias, group=channels, **attributes))


@pytest.mark.parametrize(
    ("model", "bits", "operators"),
    [
        (scaled(257), ActivationType.UINT16, ["Mul", "Add"]),
        (scaled(257), ActivationType.UINT8, ["Conv"]),
        (scaled(256), ActivationType.UINT16, ["Conv"]),
        (scaled(257, strides=[2, 2]), ActivationType.UINT16, ["Conv"]),
        (scaled(257, pads=[1, 1, 1, 1]), ActivationType.UINT16, ["Conv"]),
    ],
)
def test_a_normalization_of_many_channels_and_16_bits_is_a_product_and_a_sum(
    model, bits, operators
):
    samples = feeds(model, 2)
    scheme = Scheme(activations=bits, architecture=68)
    found = quantize(prepare(model, {}).model, samples, scheme).model
    held = ("QuantizeLinear", "DequantizeLinear")
    nodes = [node for node in found.graph if node.op_type not in held]
    assert [node.op_type for node in nodes] == operators
    assert all(value.producer().op_type in held for node in nodes for value in node.inputs)
    truth, near = (CpuModel(one).session.run(None, samples[0])[0] for one in (model, found))
    assert np.abs(truth - near).max() < (0.05 if bits is ActivationType.UINT8 else 0.001)


def test_a_tanh_of_16_rows_stays_in_16_bits_where_there_is_no_float():
    b = Builder()
    rows = b.add("MatMul", b.feed("x", 16, 8), b.normal(8, 8))
    model = prepare(b.model(b.add("Tanh", rows)), {}).model
    scheme = Scheme(activations=ActivationType.UINT16, architecture=68, float16=False)
    result = quantize(model, feeds(model, 1), scheme)
    assert result.notes == ()
    (tanh,) = (node for node in result.model.graph if node.op_type == "Tanh")
    assert static_shape(tanh.inputs[0]) == (4, 4, 8)


def rectified(slopes, *shape):
    b = Builder()
    x = b.add("PRelu", b.feed("x", *shape), np.asarray(slopes, np.float32))
    return b.model(b.add("Relu", b.add("Neg", x)))


SLOPES = np.linspace(-0.5, 0.9, 5).reshape(5, 1, 1)


@pytest.mark.parametrize(
    ("model", "bits", "operators"),
    [
        (rectified(SLOPES, 1, 5, 4, 6), 16, ["Conv", "Add"]),
        (rectified(SLOPES * 2, 1, 5, 4, 6), 16, ["Conv", "Conv", "Add", "Sub"]),
        (rectified(SLOPES + 2, 1, 5, 4, 6), 16, ["Conv", "Sub"]),
        (rectified(SLOPES[:, :, 0], 1, 5, 6), 16, ["Mul", "Add"]),
        (rectified(SLOPES.reshape(-1), 1, 4, 5), 16, ["Mul", "Add"]),
        (rectified([[[0.3]]], 1, 5, 4, 6), 16, ["PRelu"]),
        (rectified(SLOPES, 1, 5, 4, 6), 8, ["PRelu"]),
    ],
)
def test_a_prelu_of_16_bits_with_several_slopes_is_a_sum(model, bits, operators):
    samples = feeds(model, 2)
    activations = ActivationType.UINT16 if bits == 16 else ActivationType.UINT8
    found = quantize(model, samples, Scheme(activations=activations)).model
    held = ("QuantizeLinear", "DequantizeLinear")
    nodes = [node for node in found.graph if node.op_type not in held]
    computing = [node.op_type for node in nodes if node.op_type != "Relu"]  # encodings clamp
    assert computing == [*operators, "Neg"]
    assert all(value.producer().op_type in held for node in nodes for value in node.inputs[:1])
    truth, near = (CpuModel(one).session.run(None, samples[0])[0] for one in (model, found))
    assert np.abs(truth - near).max() < (0.05 if bits == 8 else 0.001)


@pytest.mark.npu
@pytest.mark.slow
def test_a_prelu_of_16_bits_is_right_on_the_simulator():
    model = rectified(SLOPES * 2, 1, 5, 4, 6)
    samples = feeds(model, 2)
    found = quantize(model, samples, Scheme(activations=ActivationType.UINT16)).model
    truth = CpuModel(model).session.run(None, samples[0])[0]
    (near,) = next(iter(Model(found, find("qcs9075")).simulate(samples[:1]))).values()
    assert np.abs(truth - near).max() < 0.001


def distributed():
    """Means over 16 bins of two groups of channels, as detectors read the sides of boxes."""
    b = Builder()
    x = b.feed("x", 1, 32, 24, 24)
    rows = b.add("Reshape", x, np.array([1, 2, 16, 576]))
    shares = b.add("Softmax", b.add("Transpose", rows, perm=[0, 2, 1, 3]), axis=1)
    return b.model(b.add("Conv", shares, np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)))


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("activations", "operator"), [(ActivationType.UINT16, "Exp"), (ActivationType.UINT8, "Softmax")]
)
def test_means_of_distributions_are_taken_map_by_map_at_16_bits(activations, operator, known):
    model = prepare(distributed(), {}).model
    samples = feeds(model, 2)
    seen = observe(model, samples) if known else None
    found = quantize(model, None if known else samples, Scheme(activations=activations), known=seen)
    operators = {node.op_type for node in found.model.graph}
    assert operators & {"Exp", "Softmax"} == {operator}
    truth, near = (CpuModel(one).session.run(None, samples[0])[0] for one in (model, found.model))
    assert np.abs(truth - near).max() < (0.5 if operator == "Softmax" else 15 / 127 / 2)


def test_rows_that_a_sum_repeats_are_known_at_16_bits_too():
    b = Builder()
    rows = b.add("Gather", b.normal(20, 8), b.feed("i", 1, 1, 4, dtype=TensorProto.INT64))
    model = b.model(b.add("Add", b.feed("x", 1, 3, 4, 8), rows))
    seen = observe(model, feeds(model, 2))
    found = quantize(model, None, Scheme(activations=ActivationType.UINT16), known=seen)
    assert "Mul" in {node.op_type for node in found.model.graph}


@pytest.mark.npu
@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_what_is_written_out_is_quantized_where_there_is_no_float(activations, tmp_path):
    b = Builder()
    x = b.add("Conv", b.feed("x", 1, 8, 6, 6), b.normal(8, 8, 1, 1))
    limits = np.array(0.1, np.float32), np.array(0.5, np.float32)
    given = b.model(
        b.add("Clip", b.add("Sigmoid", x), *limits),
        b.add("Softplus", x),
        b.add("Selu", x),
        b.add("ThresholdedRelu", x, alpha=0.3),
    )
    samples = feeds(given, 1)
    scheme = Scheme(activations=activations, architecture=68)
    result = quantize(prepare(given, {}).model, samples, scheme).model
    io.save(result, tmp_path / "model.onnx")
    (found,) = Model(tmp_path / "model.onnx", find("qcs6490")).simulate(samples)
    for name, expected in CpuModel(given, optimize=False).run(samples[0]).items():
        noise = np.square(found[name] - expected).sum() / np.square(expected).sum()
        assert noise < 0.005, name


def recurrent(kinds=("LSTM", "GRU"), *, steps=20, hidden=16):
    """An output each; one state of the LSTM begins at something."""
    b = Builder()
    x, outputs = b.feed("x", steps, 1, 8), []
    for kind in kinds:
        rows = hidden * {"LSTM": 4, "GRU": 3}[kind]
        weights = b.normal(2, rows, 8), b.normal(2, rows, hidden), b.normal(2, 2 * rows)
        states = (b.normal(2, 1, hidden), np.zeros((2, 1, hidden), np.float32))
        options = {"linear_before_reset": 1} if kind == "GRU" else {}
        begins = states if kind == "LSTM" else states[:1]
        both = {"direction": "bidirectional", "hidden_size": hidden}
        outputs.append(b.add(kind, x, *weights, "", *begins, **both, **options))
    return b.model(*outputs)


@pytest.mark.npu
@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_recurrent_layers_are_quantized_where_there_is_no_float(activations, tmp_path):
    given = recurrent()
    samples = feeds(given, 1)
    scheme = Scheme(activations=activations, architecture=68, float16=False)
    result = quantize(prepare(given, {}).model, samples, scheme)
    io.save(result.model, tmp_path / "model.onnx")
    (found,) = Model(tmp_path / "model.onnx", find("qcs6490")).simulate(samples)
    for name, expected in CpuModel(given, optimize=False).run(samples[0]).items():
        noise = np.square(found[name] - expected).sum() / np.square(expected).sum()
        assert noise < 0.001, name


@pytest.mark.parametrize(
    ("steps", "float16", "bits", "kept"),
    [
        (64, True, ActivationType.UINT16, False),
        (65, True, ActivationType.UINT16, True),
        (65, False, ActivationType.UINT16, False),
        (64, True, ActivationType.FLOAT16, True),
    ],
)
def test_a_recurrent_layer_is_unrolled_where_that_is_faster(steps, float16, bits, kept):
    model = recurrent(["LSTM"], steps=steps, hidden=4)
    own = {"node_lstm_0": NodePrecision(activations=bits)}
    found = quantize(model, feeds(model, 1), Scheme(per_node=own, float16=float16))
    assert ("LSTM" in {node.op_type for node in found.model.graph}) == kept
    if not kept:
        cells = {
            name: one for name, one in found.encodings.items() if name.startswith("lstm_0_Add")
        }
        assert len(cells) > 200
        assert {one.dtype.value for one in cells.values()} == {"uint16"}


@pytest.mark.npu
@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_a_part_that_nothing_reads_is_no_longer_made(activations, tmp_path):
    b = Builder()
    x = b.add("Relu", b.feed("x", 1, 24, 6, 6))
    first, _, last = b.add("Split", x, np.array([8, 6, 10]), outputs=3, axis=1)
    rest = b.add("Conv", last, b.normal(8, 10, 1, 1))
    given = b.model(b.add("Mul", first, rest))
    samples = feeds(given, 1)
    for device, scheme in (
        ("qcs6490", Scheme(activations=activations, architecture=68, float16=False)),
        ("qcs9075", Scheme(activations=activations)),
    ):
        result = quantize(given, samples, scheme).model
        assert "Split" not in {node.op_type for node in result.graph}
        io.save(result, tmp_path / "model.onnx")
        (found,) = Model(tmp_path / "model.onnx", find(device)).simulate(samples)
        for name, expected in CpuModel(given, optimize=False).run(samples[0]).items():
            noise = np.square(found[name] - expected).sum() / np.square(expected).sum()
            assert noise < 0.001, name


def test_a_split_in_float_stays():
    b = Builder()
    parts = b.add("Split", b.feed("x", 1, 24), np.array([8, 6, 10]), outputs=3, axis=1)
    model = b.model(b.add("Sin", parts[2]))
    kept = {"node_split_0": NodePrecision(activations=ActivationType.FLOAT16)}
    found = quantize(model, feeds(model, 1), Scheme(per_node=kept)).model
    assert "Split" in {node.op_type for node in found.graph}


def float_only():
    """Operators that the NPU has in float only; places that are computed and rows out of order."""
    b = Builder()
    x = b.add("Sigmoid", b.feed("x", 6, 4, 8))
    place = b.add("ArgMax", b.feed("scores", 1, 6), axis=1, keepdims=1)
    last = np.array([-1])
    elements = np.array([[[5, 3, 7], [0, 1, 2]]])
    outputs = (
        b.add("ScatterND", x, np.array([[4, 1], [1, 3], [0, 2]]), b.normal(3, 8)),
        b.add("ScatterND", x, elements, b.normal(1, 2)),
        b.add("ScatterND", x, place, b.normal(1, 4, 8)),
        b.add("ReduceL2", x, last),
        b.add("ReduceLogSumExp", x, last, keepdims=0),
        b.add("Tan", x),
        *b.add("TopK", x, np.array([3]), outputs=2, axis=1),
        b.add("TopK", b.add("Ceil", x), np.array([5]), outputs=2, largest=0)[1],
    )
    return b.model(*outputs, dtypes=dict.fromkeys(outputs[-2:], TensorProto.INT64))


@pytest.mark.npu
@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_what_the_npu_has_in_float_only_runs_where_there_is_no_float(activations, tmp_path):
    given = float_only()
    samples = feeds(given, 1)
    scheme = Scheme(activations=activations, architecture=68, float16=False)
    result = quantize(prepare(given, {}).model, samples, scheme)
    io.save(result.model, tmp_path / "model.onnx")
    (found,) = Model(tmp_path / "model.onnx", find("qcs6490")).simulate(samples)
    for name, expected in CpuModel(given, optimize=False).run(samples[0]).items():
        noise = np.square(found[name] - expected).sum() / np.square(expected).sum()
        assert noise < 0.001, name
    assert all("TopK" not in note.text for note in result.notes)


def test_what_is_scattered_at_constant_places_is_quantized_everywhere():
    given = float_only()
    found = quantize(prepare(given, {}).model, feeds(given, 1), Scheme()).model
    kinds = [node.op_type for node in found.graph]
    assert kinds.count("ScatterElements") == 2
    assert kinds.count("ScatterND") == kinds.count("Tan") == 1
