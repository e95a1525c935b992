"""What a Q/DQ model does beside Q, operator, DQ is kept, or refused in a sentence with the node."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.evaluation.fidelity import sqnr_db
from snapq.graph.prepare import prepare
from snapq.quantization.encodings import QuantType
from snapq.quantization.existing_qdq.idle_clips import drop_idle_clips
from snapq.quantization.existing_qdq.imposed import Conditions
from snapq.quantization.existing_qdq.requantize import requantize
from snapq.quantization.existing_qdq.strip import is_quantized, strip
from snapq.quantization.existing_qdq.transfer import transfer

CONSTANTS = """
    float scale = {0.03}, uint8 zero = {128}, float other_scale = {0.05}, uint8 other_zero = {90},
    float fine = {0.008}, uint8 fine_zero = {100}, int8 signed_zero = {-20}, uint8 low = {110},
    uint8 high = {150}, int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, float none = {0.0},
    float negative = {-0.1}, uint8 low_half = {55}, uint8 two = {2}
"""
KEPT = {
    "Clip": "q = QuantizeLinear(x, scale, zero) k = Clip(q, low, high)"
    " d = DequantizeLinear(k, scale, zero)",
    "Clip with computed limits": "q = QuantizeLinear(x, scale, zero) l = Mul(low_half, two)"
    " k = Clip(q, l, high) d = DequantizeLinear(k, scale, zero)",
    "Relu": "q = QuantizeLinear(x, scale, signed_zero) k = Relu(q)"
    " d = DequantizeLinear(k, scale, signed_zero)",
    "Max and Min": "q = QuantizeLinear(x, scale, zero) k0 = Max(low, q) k = Min(k0, high)"
    " d = DequantizeLinear(k, scale, zero)",
    "MaxPool": "q = QuantizeLinear(x, scale, zero)"
    " k = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(q)"
    " d = DequantizeLinear(k, scale, zero)",
    "another scale": "q = QuantizeLinear(x, scale, zero)"
    " d = DequantizeLinear(q, other_scale, zero)",
    "another zero point": "q = QuantizeLinear(x, scale, zero)"
    " d = DequantizeLinear(q, other_scale, other_zero)",
    "a narrower pair behind": "q = QuantizeLinear(x, scale, zero)"
    " e = DequantizeLinear(q, scale, zero) r = QuantizeLinear(e, fine, fine_zero)"
    " d = DequantizeLinear(r, fine, fine_zero)",
    "a narrower pair in front": "q = QuantizeLinear(x, fine, fine_zero)"
    " e = DequantizeLinear(q, fine, fine_zero) r = QuantizeLinear(e, scale, zero)"
    " d = DequantizeLinear(r, scale, zero)",
    "pairs side by side": "q = QuantizeLinear(x, scale, zero) e = DequantizeLinear(q, scale, zero)"
    " r = QuantizeLinear(x, fine, fine_zero) f = DequantizeLinear(r, fine, fine_zero)"
    " d = Sub(e, f)",
    "Cast": "q = QuantizeLinear(x, scale, zero) f = Cast<to = 1>(q) z = Cast<to = 1>(zero)"
    " g = Sub(f, z) d = Mul(g, scale)",
}
REFUSED = {
    r"Cast 'f' makes integers int32": "q = QuantizeLinear(x, scale, zero) f = Cast<to = 6>(q)"
    " z = Cast<to = 6>(zero) g = Sub(f, z) h = Cast<to = 1>(g) d = Mul(h, scale)",
    r"QuantizeLinear 'q' has the scale 0": "q = QuantizeLinear(x, none, zero)"
    " d = DequantizeLinear(q, none, zero)",
    r"QuantizeLinear 'q' has the scale -0.1": "q = QuantizeLinear(x, negative, zero)"
    " d = DequantizeLinear(q, negative, zero)",
    r"DequantizeLinear 'd' reads 'k', which no": "k = Cast<to = 2>(x)"
    " d = DequantizeLinear(k, scale, zero)",
    r"QuantizeLinear 'q' has a scale or zero point that is computed": "m = ReduceMax<keepdims=0>(x)"
    " q = QuantizeLinear(x, m, zero) d = DequantizeLinear(q, m, zero)",
}
RNG = np.random.default_rng(0)
SAMPLES = [{"x": RNG.normal(size=(1, 4, 8, 8)).astype(np.float32)} for _ in range(4)]


def model(body: str, constants: str = CONSTANTS) -> ir.Model:
    """What `body` makes of `x`, as `d`, in front of a convolution."""
    integers = np.random.default_rng(1).integers(-127, 128, 144)
    return ir.from_proto(
        onnx.parser.parse_model(
            f"""<ir_version: 8, opset_import: ["": 17]>
            g (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y)
            <int8[4, 4, 3, 3] w = {{{", ".join(map(str, integers))}}}, float w_scale = {{0.003}},
             int8 w_zero = {{0}}, float y_scale = {{0.05}}, uint8 y_zero = {{128}}, {constants}> {{
                {body}
                wd = DequantizeLinear(w, w_scale, w_zero)
                c = Conv<pads = [1, 1, 1, 1]>(d, wd)
                cq = QuantizeLinear(c, y_scale, y_zero)
                cd = DequantizeLinear(cq, y_scale, y_zero)
                y = Tanh(cd)
            }}"""
        )
    )


def fidelity(given: ir.Model, computed: ir.Model) -> float:
    """SQNR in dB of a model against the one that was given, on samples that both take."""
    first, second = (CpuModel(item, optimize=False) for item in (given, computed))
    pairs = [(first.run(sample)["y"], second.run(sample)["y"]) for sample in SAMPLES]
    truth, found = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return sqnr_db(truth, found)


def repaired(given: ir.Model) -> ir.Model:
    stripped = strip(given)
    prepared = prepare(stripped.model, {}).model
    found = transfer(stripped.encodings, (stripped.model, SAMPLES[0]), (prepared, SAMPLES[0]))
    encodings = drop_idle_clips(prepared, found.encodings, SAMPLES)
    return requantize(prepared, encodings, Conditions(73), SAMPLES).quantized.model


@pytest.mark.parametrize("name", KEPT)
def test_what_is_done_between_q_and_dq_is_done_in_the_float_form_and_the_repaired_one(
    name: str,
) -> None:
    given = model(KEPT[name])
    assert not is_quantized(strip(given).model)
    # What is left is the rounding of the model as given, the more where two numbers are subtracted.
    assert fidelity(given, strip(given).model) > 25
    assert fidelity(given, repaired(given)) > 25


def test_a_pad_of_integers_fills_in_the_real_number_of_what_it_fills_in() -> None:
    given = model(
        "q = QuantizeLinear(x, scale, zero) p = Pad(q, pads)"
        " s = MaxPool<kernel_shape = [3, 3]>(p) d = DequantizeLinear(s, scale, zero)"
    )
    assert fidelity(given, strip(given).model) > 25


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_float_form_is_refused_with_the_node(what: str) -> None:
    with pytest.raises(ModelError, match=what):
        strip(model(REFUSED[what]))


def test_float8_is_refused_by_name() -> None:
    given = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float[4] x, float8e4m3fn z) => (float[4] y) <float s = {0.1}> {
            q = QuantizeLinear<output_dtype = 17>(x, s)
            y = DequantizeLinear(q, s)
        }"""
    )
    with pytest.raises(ModelError, match="holds float8e4m3fn, and the NPU integers"):
        strip(ir.from_proto(given))


def test_scales_of_float16_are_read_as_float32() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float16[1, 4] x) => (float16[1, 4] y) <float16 s = {11878}, uint8 z = {128}> {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Add(d, d)
        }"""
    )
    stripped = strip(ir.from_proto(proto))
    encoding = stripped.encodings["x"]
    assert (encoding.scale.dtype, encoding.dtype) == (np.float32, QuantType.UINT8)
    assert stripped.model.graph.inputs[0].dtype == ir.DataType.FLOAT
    assert "32-bit floats at the boundary: 'x' (float16), 'y' (float16)" in stripped.notes[0]


def test_q_and_dq_in_a_branch_that_is_always_taken_are_taken_out() -> None:
    given = model(
        """d = If(always) <
            then_branch = yes () => (float[1, 4, 8, 8] d1) {
                q = QuantizeLinear(x, scale, zero) d1 = DequantizeLinear(q, scale, zero) },
            else_branch = no () => (float[1, 4, 8, 8] d2) { d2 = Identity(x) }>""",
        f"{CONSTANTS}, bool always = {{1}}",
    )
    stripped = strip(given)
    assert not is_quantized(stripped.model)
    assert float(stripped.encodings["x"].scale) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            """one = Constant<value_int = 1>() c = Equal(mode, one)
            y = If(c) <then_branch = a () => (float[4] d1) {
                q = QuantizeLinear(x, s, z) d1 = DequantizeLinear(q, s, z) },
            else_branch = b () => (float[4] d2) { d2 = Identity(x) }>""",
            r"'q' is inside the If .*--input mode=NUMBER",
        ),
        (
            """always = Constant<value_int = 1>() c = Cast<to = 9>(always)
            y = Loop(mode, c, x) <body = b (int64 i, bool k, float[4] v) => (bool o, float[4] w) {
                o = Identity(k) q = QuantizeLinear(v, s, z) w = DequantizeLinear(q, s, z) }>""",
            r"'q' is inside the Loop .*cut the model in front of it",
        ),
    ],
    ids=["If", "Loop"],
)
def test_q_and_dq_in_what_stays_are_refused_with_what_decides(body: str, told: str) -> None:
    given = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17]>
        g (float[4] x, int64 mode) => (float[4] y) <float s = {{0.1}}, uint8 z = {{128}}> {{
            {body}
        }}"""
    )
    with pytest.raises(ModelError, match=f"(?is){told}"):
        strip(ir.from_proto(given))


def test_an_output_of_integers_gives_real_numbers_and_that_is_told() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        g (float[1, 4] x) => (uint8[1, 4] y) <float s = {0.1}, uint8 z = {128}> {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) t = Tanh(d)
            y = QuantizeLinear(t, s, z)
        }"""
    )
    stripped = strip(ir.from_proto(proto))
    assert stripped.model.graph.outputs[0].dtype == ir.DataType.FLOAT
    assert "'y' was uint8 codes of scale 0.1 and zero point 128; it gives" in stripped.notes[0]


def test_weights_that_are_bounded_behind_their_q_are_held_in_4_bits() -> None:
    weights = ", ".join(f"{number:.3f}" for number in np.linspace(-0.9, 0.9, 16))
    given = ir.from_proto(
        onnx.parser.parse_model(
            f"""<ir_version: 10, opset_import: ["": 21]>
            g (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y)
            <float[4, 4, 1, 1] w = {{{weights}}}, float[4] s = {{0.1, 0.05, 0.02, 0.1}},
             int8[4] z = {{0, 0, 0, 0}}, int8 low = {{-8}}, int8 high = {{7}}> {{
                q = QuantizeLinear<axis = 0>(w, s, z)
                k = Clip(q, low, high)
                d = DequantizeLinear<axis = 0>(k, s, z)
                y = Conv(x, d)
            }}"""
        )
    )
    stripped = strip(given)
    ((name, encoding),) = stripped.encodings.items()
    assert (encoding.dtype, encoding.axis) == (QuantType.INT4, 0)
    assert name in stripped.model.graph.initializers
    assert fidelity(given, stripped.model) > 100


def test_a_scale_for_each_channel_bounds_each_channel() -> None:
    given = ir.from_proto(
        onnx.parser.parse_model(
            """<ir_version: 10, opset_import: ["": 21]>
            g (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y)
            <float[4] s = {0.01, 0.02, 0.03, 0.04}, int8[4] z = {0, 5, 0, -7}, int8 low = {-60},
             int8 high = {50}> {
                q = QuantizeLinear<axis = 1>(x, s, z)
                k = Clip(q, low, high)
                d = DequantizeLinear<axis = 1>(k, s, z)
                y = Tanh(d)
            }"""
        )
    )
    assert fidelity(given, strip(given).model) > 35


def test_scales_that_are_none_of_the_blocks_are_refused() -> None:
    given = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float[1, 4] x) => (float[1, 2] y)
        <int8[4, 2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[4, 1] s = {0.1, 0.2, 0.3, 0.4}> {
            d = DequantizeLinear<axis = 0, block_size = 2>(w, s)
            y = MatMul(x, d)
        }"""
    )
    with pytest.raises(ModelError, match=r"'d' has scales \[4, 1\], and blocks of 2 .* \[2, 2\]"):
        strip(ir.from_proto(given))


def test_16_bits_of_a_bounded_tensor_begin_at_its_bound() -> None:
    given = ir.from_proto(
        onnx.parser.parse_model(
            """<ir_version: 10, opset_import: ["": 21]>
            g (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y)
            <float s = {0.0002}, int16 z = {0}, float low = {0.0}, float six = {6.0}> {
                q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
                t = Add(d, d) k = Clip(t, low, six)
                kq = QuantizeLinear(k, s, z) kd = DequantizeLinear(kq, s, z)
                u = Mul(kd, kd) uq = QuantizeLinear(u, s, z) y = DequantizeLinear(uq, s, z)
            }"""
        )
    )
    model = repaired(given)
    held = {
        str(node.inputs[0].name): int(node.inputs[2].const_value.numpy())  # type: ignore[union-attr]
        for node in model.graph
        if node.op_type == "QuantizeLinear" and node.inputs[0] and node.inputs[2]
    }
    assert 0 in held.values()
    assert fidelity(given, model) > 60
