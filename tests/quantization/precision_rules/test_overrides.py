"""Overrides: every node gets the types that it is given, and the NPU takes what comes of it."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from snapq.config import Override
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import ConfigError
from snapq.graph import io
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate
from snapq.precision import ActivationType, WeightType
from snapq.quantization.lint.run import lint
from snapq.quantization.precision_rules.overrides import resolve
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.compared import decibels
from tests.quantization.odd_models import MODELS, Builder, feeds


def chain():
    """Conv, depthwise, Conv, Add, Gemm: named node_conv_0, …"""
    b = Builder()
    x = b.feed("x", 1, 8, 12, 12)
    y = b.add("Relu", b.add("Conv", x, b.normal(32, 8, 1, 1), b.normal(32)))
    y = b.add("Conv", y, b.normal(32, 1, 3, 3), b.normal(32), group=32, pads=[1, 1, 1, 1])
    y = b.add("Add", x, b.add("Conv", y, b.normal(8, 32, 1, 1), b.normal(8)))
    y = b.add("Reshape", b.add("GlobalAveragePool", y), np.array([1, 8]))
    return b.model(b.add("Gemm", y, b.normal(8, 5), b.normal(5)))


def quantized(model, scheme):
    return quantize(model, feeds(model, 8), scheme)


def types(result):
    return {name: encoding.dtype.value for name, encoding in result.encodings.items()}


def on_cpu(model, sample):
    return CpuModel(model, optimize=False).session.run(None, sample)


MIXED = {
    "node_conv_0": NodePrecision(WeightType.INT4, ActivationType.UINT16),
    "node_conv_3": NodePrecision(activations=ActivationType.FLOAT16),
    "node_gemm_7": NodePrecision(WeightType.INT16, ActivationType.UINT16),
}


@pytest.mark.npu
def test_a_model_of_four_precisions_runs_on_the_npu_and_is_near_to_float(tmp_path: Path):
    model = chain()
    result = quantized(model, Scheme(architecture=73, per_node=MIXED))
    found = types(result)
    assert found["constant_0"] == "int4"
    assert found["relu_1"] == "uint16"
    assert found["constant_2"] == "int8"
    assert "constant_4" not in found
    assert found["add_4"] == "uint8"
    assert lint(result.model, 73) == ()
    io.save(result.model, tmp_path / "mixed.onnx")
    samples = feeds(model, 2)
    outputs = simulate(
        tmp_path / "mixed.onnx",
        find("qcs9075"),
        samples,
        workers=1,
        options=CompileOptions(fp16=True),
    )
    for sample, out in zip(samples, outputs, strict=True):
        assert decibels(on_cpu(model, sample)[0], out["gemm_7"]) > 20


@pytest.mark.parametrize("activations", list(ActivationType))
@pytest.mark.parametrize("weights", list(WeightType))
@pytest.mark.parametrize("name", ["transformer_block", "squeeze_excite_and_residual", "recurrent"])
def test_every_pair_of_types_gives_a_legal_model(name, weights, activations):
    model = MODELS[name]()
    result = quantized(model, Scheme(weights, activations, True, 73))
    assert lint(result.model, 73) == ()
    wanted = 6.0 if weights is WeightType.INT4 else 15.0
    (sample,) = feeds(model, 1)
    for truth, found in zip(on_cpu(model, sample), on_cpu(result.model, sample), strict=True):
        assert decibels(truth, found) > wanted


def test_float_activations_quantize_only_what_is_named():
    per_node = {"node_conv_0": NodePrecision(activations=ActivationType.UINT8)}
    scheme = Scheme(activations=ActivationType.FLOAT16, per_node=per_node)
    held = types(quantized(chain(), scheme))
    assert {"x", "constant_0", "constant_1", "relu_1"} == set(held)


def test_a_downgrade_says_what_was_wanted_what_is_given_and_why():
    notes = " ".join(map(str, quantized(chain(), Scheme(weights=WeightType.INT4)).notes))
    assert "node_conv_2: 4 bits are too few for weights of a depthwise layer" in notes
    assert "so it has int8 weights" in notes
    wide = {"node_gemm_7": NodePrecision(WeightType.INT16, ActivationType.UINT16)}
    (note,) = quantized(chain(), Scheme(architecture=69, per_node=wide)).notes
    assert "from v73 on, this is v69, so it has int8 weights" in note.text


@pytest.mark.parametrize(
    ("op_type", "shape"), [("Conv", (1, 8, 3, 3)), ("ConvTranspose", (8, 1, 2, 2))]
)
def test_a_layer_of_one_output_channel_has_weights_of_8_bits_for_4(op_type, shape):
    b = Builder()
    x = b.feed("x", 1, 8, 6, 6)
    model = b.model(b.add(op_type, x, b.normal(*shape), b.normal(1)))
    found = quantized(model, Scheme(weights=WeightType.INT4))
    assert types(found)["constant_0"] == "int8"
    assert "only with one scale for each of several channels" in str(found.notes[0])


def test_later_overrides_win_and_add_up():
    found = resolve(
        [
            Override(op_type="Conv", activations="uint16"),
            Override(pattern="*conv_[03]", weights="int4"),
            Override(nodes="node_conv_3", keep="float"),
        ],
        chain(),
    )
    assert found["node_conv_0"].weights is WeightType.INT4
    assert found["node_conv_0"].activations is ActivationType.UINT16
    assert found["node_conv_2"].weights is None
    assert found["node_conv_3"].activations is ActivationType.FLOAT16


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ({"nodes": ["node_conv0"]}, "Did you mean 'node_conv_0'"),
        ({"pattern": "/encoder/*"}, "inspect"),
        ({"op_type": "conv"}, "Did you mean 'Conv'"),
    ],
)
def test_an_override_that_matches_nothing_is_refused(override, hint):
    with pytest.raises(ConfigError, match="overrides") as caught:
        resolve([Override(**override, keep="float")], chain())
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"nodes": "a"}, {"keep": "float"}, {"nodes": "a", "pattern": "b", "keep": "float"},
     {"op_type": "Conv", "weights": "int8", "keep": "float"}],
)  # fmt: skip
def test_an_override_must_say_which_nodes_and_what(wrong):
    with pytest.raises(ValidationError):
        Override(**wrong)
