"""What 8 bits ruin or slow down stays wide by rule: spectra, recurrent cells, long filters."""

import numpy as np
import pytest

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.sqnr import sqnr
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.lint.run import lint
from snapq.quantization.precision_rules.recurrent import cells
from snapq.quantization.precision_rules.squares import fronts, logarithms
from snapq.quantization.qdq.decisions import KEPT_FLOAT
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source
from snapq.quantization.quantize import quantize
from tests.graph.models import prepared_from
from tests.graph.passes.test_recurrent import layer
from tests.quantization.odd_models import Builder, feeds, scalar


def spectrum():
    """Magnitudes of a short transform of sound, and a layer that reads them."""
    b = Builder()
    sound = b.feed("sound", 1, 1, 64)
    turned = b.add("Conv", sound, b.normal(32, 1, 16), strides=[8])
    parts = b.add("Split", turned, outputs=2, axis=1, num_outputs=2)
    power = b.add("Add", *(b.add("Mul", part, part) for part in parts))
    return b.model(b.add("Conv", b.add("Sqrt", power), b.normal(8, 16, 1)))


def cell(kind):
    """One step of a recurrent layer by hand, state in one tensor, and a head of one value."""
    b = Builder()
    x, state = b.feed("x", 1, 16), b.feed("state", 2, 1, 16)
    before, kept = (b.add("Gather", state, np.array(index, np.int64), axis=0) for index in range(2))
    gates = b.add(
        "Add", b.add("Gemm", x, b.normal(16, 64)), b.add("Gemm", before, b.normal(16, 64))
    )
    first, second, third, fresh = b.add("Split", gates, outputs=4, axis=1, num_outputs=4)
    gate, entered = b.add("Sigmoid", first), b.add("Tanh", fresh)
    if kind == "lstm":
        grown = b.add("Mul", b.add("Sigmoid", second), entered)
        c = b.add("Add", b.add("Mul", gate, kept), grown)
        h = b.add("Mul", b.add("Sigmoid", third), b.add("Tanh", c))
    elif kind == "gru":
        new = b.add("Mul", b.add("Sub", scalar(1), gate), entered)
        h = c = b.add("Add", new, b.add("Mul", gate, kept))
    else:
        h = c = b.add("Add", entered, b.add("Mul", gate, b.add("Sub", kept, entered)))
    axis = np.array([0], np.int64)
    after = b.add("Concat", *(b.add("Unsqueeze", part, axis) for part in (h, c)), axis=0)
    head = b.add("Sigmoid", b.add("Gemm", b.add("Relu", h), b.normal(16, 1)))
    return b.model(head, after)


def sounds(levels, size=(1, 1, 64)):
    random = np.random.default_rng(0)
    return [{"sound": (random.normal(size=size) * v).astype(np.float32)} for v in levels]


def steps(count, seed=0):
    """Inputs and states of which one half is within one, and the other grows."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        state = random.normal(size=(2, 1, 16)) * np.array([0.3, 12.0])[:, None, None]
        x = random.normal(size=(1, 16))
        yield {"x": x.astype(np.float32), "state": state.astype(np.float32)}


def quality(model, quantized, samples):
    there = CpuModel(model).session
    here = CpuModel(quantized, optimize=False).session
    signal = noise = 0.0
    for sample in samples:
        for truth, found in zip(there.run(None, sample), here.run(None, sample), strict=True):
            signal += float(np.square(truth).sum())
            noise += float(np.square(truth - found).sum())
    return sqnr(signal, noise)


@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_a_spectral_front_end_is_float_and_hears_what_is_quiet(activations):
    model = spectrum()
    scheme = Scheme(activations=activations)
    samples = sounds([1.0] * 8)
    result = quantize(model, samples, scheme)
    front = {node.name for node in result.model.graph if KEPT_FLOAT in node.metadata_props}
    assert front == fronts(model.graph)
    assert {"node_conv_0", "node_sqrt_5"} <= front
    assert "the rule for spectra says float" in " ".join(map(str, result.notes))
    assert lint(result.model, 73) == ()
    narrow = quantize(model, samples, Scheme(activations=activations, keep_wide=False))
    quiet = sounds([0.02] * 4)
    assert quality(model, result.model, quiet) > quality(model, narrow.model, quiet) + 6


@pytest.mark.parametrize("level", [32768.0, 1e-3])
def test_a_front_end_beyond_the_range_of_fp16_has_16_bits(level):
    model = spectrum()
    result = quantize(model, sounds([level] * 4), Scheme())
    assert not any(KEPT_FLOAT in node.metadata_props for node in result.model.graph)
    assert result.encodings["sqrt_5"].dtype.value == "uint16"
    assert "beyond the range of fp16" in " ".join(map(str, result.notes))


def test_what_an_estimate_says_of_a_part_of_a_front_end_does_not_count():
    part = NodePrecision(activations=ActivationType.UINT16, source=Source.ESTIMATE)
    own = NodePrecision(activations=ActivationType.UINT16)
    samples = sounds([1.0] * 4)
    model = spectrum()
    for said, held in ((part, fronts(model.graph)), (own, frozenset())):
        result = quantize(model, samples, Scheme(per_node={"node_sqrt_5": said}))
        floats = {node.name for node in result.model.graph if KEPT_FLOAT in node.metadata_props}
        assert floats == held


def test_a_filter_bank_in_front_of_data_and_moves_of_samples_are_a_spectrum():
    b = Builder()
    known = (np.arange(4096) < 4000).reshape(1, -1)
    ends = b.add("Where", known, b.feed("sound", 1, 4096), scalar(0))
    rows = b.add("Reshape", ends, np.array([16, 256]))
    bank = b.add("MatMul", b.normal(8, 16), rows)
    model = b.model(b.add("Log", b.add("Add", b.add("Mul", bank, bank), scalar(1e-3))))
    assert logarithms(model.graph) == {str(node.name) for node in model.graph}


def test_a_target_without_float_has_16_bits():
    result = quantize(spectrum(), sounds([1.0] * 4), Scheme(architecture=68))
    assert result.encodings["sqrt_5"].dtype.value == "uint16"
    assert not any(KEPT_FLOAT in node.metadata_props for node in result.model.graph)


def test_a_large_transform_stays_in_integers():
    b = Builder()
    turned = b.add("Conv", b.feed("sound", 1, 1, 40_000), b.normal(64, 1, 512), strides=[16])
    b.add("Sqrt", b.add("Mul", turned, turned))
    assert fronts(b.model("sqrt_2").graph) == frozenset()


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru-by-difference"])
def test_the_cell_and_its_head_have_16_bits_and_the_products_8(kind):
    model = cell(kind)
    result = quantize(model, [*steps(16)], Scheme())
    held = {name: encoding.dtype.value for name, encoding in result.encodings.items()}
    assert held["state"] == held[model.graph.outputs[0].name] == "uint16"
    assert held[model.graph.outputs[1].name] == "uint16"
    assert {held[f"gemm_{index}"] for index in (2, 3)} == {"uint8"}
    assert "as the cell of a recurrent layer loses too much at 8" in " ".join(
        map(str, result.notes)
    )
    assert lint(result.model, 73) == ()
    narrow = quantize(model, [*steps(16)], Scheme(keep_wide=False))
    others = [*steps(8, seed=1)]
    assert quality(model, result.model, others) > quality(model, narrow.model, others) + 4


def test_the_products_read_a_part_of_the_state_by_its_own_range():
    result = quantize(cell("lstm"), [*steps(16)], Scheme())
    whole = float(result.encodings["state"].maximum)
    scales = {
        value.name: float(value.const_value.numpy())
        for value in result.model.graph.initializers.values()
        if value.name.startswith("gather_0_as_uint8") and value.name.endswith("_scale")
    }
    assert whole > 20
    assert all(0 < 255 * scale < 3 for scale in scales.values())
    assert scales


@pytest.mark.parametrize(("kind", "least"), [("LSTM", 9), ("GRU", 6)])
def test_cells_are_found_in_unrolled_layers(kind, least):
    model = prepared_from(layer(kind, "forward", stateful=True))[0].model
    gates = {node.name for node in model.graph if node.op_type in ("Mul", "Tanh")}
    assert len(gates & cells(model.graph)) >= least


def test_what_the_user_says_of_a_node_wins():
    own = NodePrecision(activations=ActivationType.UINT8)
    result = quantize(cell("lstm"), [*steps(8)], Scheme(per_node={"node_add_11": own}))
    assert result.encodings["add_11"].dtype.value == "uint8"
    assert result.encodings["mul_10"].dtype.value == "uint16"
    front = {"node_conv_0": own}
    result = quantize(spectrum(), sounds([1.0] * 4), Scheme(per_node=front))
    assert result.encodings["conv_0"].dtype.value == "uint8"
    assert result.encodings["sqrt_5"].dtype.value == "uint16"


def test_a_gated_sum_that_is_no_cell_is_left_alone():
    b = Builder()
    x = b.feed("x", 1, 16)
    gate = b.add("Sigmoid", b.add("Gemm", x, b.normal(16, 16)))
    b.add("Add", b.add("Mul", gate, x), b.add("Mul", x, b.add("Tanh", x)))
    assert cells(b.model("add_5").graph) == frozenset()


def loudness():
    """A bank of filters, the sum of squares of its two halves, and the logarithm of that."""
    b = Builder()
    x = b.feed("sound", 1, 1, 64)
    halves = [b.add("Conv", x, b.normal(8, 1, 16), strides=[8]) for _ in range(2)]
    squares = [b.add("Mul", half, half) for half in halves]
    level = b.add("Log", b.add("Add", b.add("Add", *squares), scalar(1e-4)))
    rows = b.add("Relu", b.add("Conv", level, b.normal(6, 8, 3), b.normal(6)))
    return b.model(b.add("Conv", rows, b.normal(4, 6, 1), b.normal(4)))


def test_a_spectrum_up_to_its_logarithm_is_float_and_what_follows_is_not():
    model = loudness()
    samples = sounds([1.0, 0.1, 0.03, 0.5] * 2)
    result = quantize(model, samples, Scheme())
    front = {node.name for node in result.model.graph if KEPT_FLOAT in node.metadata_props}
    assert front == logarithms(model.graph)
    assert {"node_conv_0", "node_mul_2", "node_log_6"} <= front
    assert not front & {"node_conv_7", "node_conv_9"}
    narrow = quantize(model, samples, Scheme(keep_wide=False))
    quiet = sounds([0.05] * 4)
    assert quality(model, result.model, quiet) > quality(model, narrow.model, quiet) + 6


def test_a_logarithm_behind_a_network_leaves_it_in_integers():
    b = Builder()
    x = b.feed("x", 1, 4, 32)
    y = b.add("Relu", b.add("Conv", x, b.normal(8, 4, 3), b.normal(8)))
    y = b.add("Conv", b.add("Mul", y, y), b.normal(4, 8, 1), b.normal(4) + 2)
    assert logarithms(b.model(b.add("Log", b.add("Add", y, scalar(1.0)))).graph) == frozenset()


@pytest.mark.npu
@pytest.mark.parametrize(("taps", "wide"), [(62, False), (63, True)])
def test_a_depthwise_filter_too_long_for_the_8_bit_kernel_has_16_bits(taps, wide):
    b = Builder()
    y = b.add("Conv", b.feed("x", 1, 8, 1, 100), b.normal(8, 1, 1, taps), group=8)
    model = b.model(y)
    result = quantize(model, feeds(model, 2), Scheme())
    assert (result.encodings[y].dtype.value == "uint16") == wide
    assert any("no fast 8-bit kernel" in note.text for note in result.notes) == wide
    slow = quantize(model, feeds(model, 2), Scheme(keep_wide=False))
    spent, otherwise = (
        Model(one.model, find("qcs9075")).estimate_nodes().total.cycles for one in (result, slow)
    )
    assert (100 * spent < otherwise) == wide


def test_the_places_at_which_a_picture_is_read_have_16_bits():
    b = Builder()
    line = np.linspace(-0.9, 0.9, 24, dtype=np.float32)
    regular = np.stack(np.meshgrid(line, line), axis=-1)[None]
    x = b.feed("x", 1, 2, 24, 24)
    moved = b.add("Transpose", b.add("Conv", x, b.normal(2, 2, 1, 1)), perm=[0, 2, 3, 1])
    places = b.add("Add", b.add("Mul", moved, np.float32([0.1])), regular)
    model = b.model(b.add("GridSample", x, places, mode="linear"))
    result = quantize(model, feeds(model, 2), Scheme())
    narrow = quantize(model, feeds(model, 2), Scheme(keep_wide=False))
    assert result.encodings[places].dtype.value == "uint16"
    assert any("a place to read at" in note.text for note in result.notes)
    samples = feeds(model, 2)
    assert quality(model, result.model, samples) > quality(model, narrow.model, samples) + 15


@pytest.mark.parametrize("looked_up", [True, False])
def test_the_nearest_row_of_a_codebook_is_found_at_16_bits(looked_up):
    b = Builder()
    table = b.normal(64, 16)
    rows = b.add("MatMul", b.feed("x", 1, 32, 8), b.normal(8, 16))
    products = b.add("MatMul", rows, (table.T * 2).astype(np.float32))
    squares = np.square(table).sum(axis=1).astype(np.float32)
    closeness = b.add("Sub", products, squares)
    place = b.add("ArgMax", closeness, axis=-1, keepdims=0)
    result = b.add("Gather", table, place) if looked_up else b.add("Cast", place, to=1)
    model = b.model(result)
    samples = feeds(model, 2)
    wide, narrow = (quantize(model, samples, Scheme(keep_wide=kept)) for kept in (True, False))
    bits = {wide.encodings[value].dtype.value for value in (rows, products, closeness)}
    assert bits == ({"uint16"} if looked_up else {"uint8"})
    if looked_up:
        assert any("nearest row of a codebook" in note.text for note in wide.notes)
        better = quality(model, wide.model, samples)
        assert better > quality(model, narrow.model, samples) + 6


def test_normalizations_behind_a_concat_are_float_at_16_bits():
    for joined in (True, False):
        b = Builder()
        x = b.feed("x", 1, 4, 8, 8)
        first = b.add("Conv", x, b.normal(4, 1, 1, 1), group=4)
        wide = b.add("Concat", x, first, axis=1) if joined else first
        channels = 8 if joined else 4
        filtered = b.add(
            "Conv", wide, b.normal(channels, 1, 1, 1), b.normal(channels), group=channels
        )
        model = b.model(b.add("Conv", b.add("Relu", filtered), b.normal(4, channels, 1, 1)))
        result = quantize(model, feeds(model, 2), Scheme(activations=ActivationType.UINT16))
        floats = {n.name for n in result.model.graph if KEPT_FLOAT in n.metadata_props}
        assert len(floats & {"node_conv_0", "node_conv_1", "node_conv_2"}) == (2 if joined else 0)


def sums_and_classes(classes):
    """A running sum, a Softmax that leaves through a Reshape, and one inside."""
    b = Builder()
    x = b.feed("x", 1, 64)
    logits = b.add("Gemm", x, b.normal(64, classes))
    shares = b.add("Softmax", logits)
    inside = b.add("Relu", b.add("Softmax", b.add("Neg", logits)))
    leaves = b.add("Reshape", shares, np.array([classes, 1]))
    return b.model(b.add("CumSum", x, np.array(1)), leaves, inside)


@pytest.mark.parametrize("classes", [99, 100])
def test_running_sums_and_many_classes_that_leave_have_16_bits(classes):
    model = sums_and_classes(classes)
    result = quantize(model, feeds(model, 2), Scheme(architecture=73))
    told = {name for note in result.notes if "16 bits" in note.text for name in note.nodes}
    assert told == {"node_cumsum_6"} | ({"node_softmax_1"} if classes == 100 else set())
