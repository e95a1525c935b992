"""An ONNX graph computes the same in PyTorch as in ONNX Runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.graph import io, prepare
from snapq.precision import ActivationType, WeightType
from snapq.quantization.lint.run import lint
from snapq.quantization.quantize import Scheme, quantize
from snapq.training.module import GraphModule
from tests.quantization.odd_models import feeds
from tests.quantization.qdq.test_lowering import recurrent
from tests.quantization.test_wrong_kernels import joined_numbers
from tests.training.models import Pictures, constants, quantized, residual_network

pytestmark = pytest.mark.slow

CLOSE = 1e-4


def feeds_of(model: ir.Model) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        str(value.name): rng.normal(0, 1, tuple(value.shape)).astype(np.float32)
        for value in model.graph.inputs
    }


def worst(model: ir.Model, feeds: dict[str, np.ndarray]) -> float:
    """Largest difference from ONNX Runtime, relative to the largest value of an output."""
    session = CpuModel(model).session
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(names, feeds), strict=True))
    with torch.no_grad():
        found = GraphModule(model)({name: torch.from_numpy(v) for name, v in feeds.items()})
    return max(
        float(np.abs(found[name].numpy() - value).max() / max(1.0, np.abs(value).max()))
        for name, value in expected.items()
    )


@pytest.mark.parametrize(
    ("asset", "shapes"),
    [
        ("efficientnet_lite0", {}),
        ("efficientnet_lite0_batch_norm", {}),
        ("centerface", {"input.1": [1, 3, 96, 128]}),
        ("ppocr_rec", {"x": [1, 3, 48, 160]}),
        ("ppocr_det", {"x": [1, 3, 160, 160]}),
        ("ppocr_cls", {"x": [1, 3, 48, 192]}),
        ("silero_vad", {"input": [1, 576], "state": [2, 1, 128], "sr": 16000}),
        ("silero_vad_lstm", {}),
    ],
)
def test_real_models_compute_what_onnx_runtime_computes(
    asset: str, shapes: dict[str, list[int]], request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(asset)
    model = prepare.prepare(io.load(path), shapes, ()).model
    assert worst(model, feeds_of(model)) < CLOSE


def test_a_batch_computes_what_its_samples_compute() -> None:
    module = GraphModule(residual_network())
    pictures = torch.stack([torch.from_numpy(item.feeds["x"]) for item in Pictures(5)])
    with torch.no_grad():
        together = module.batched({"x": pictures}, ["a1"])
        alone = [module({"x": picture}, ["a1"]) for picture in pictures]
    for name in ("y", "a1"):
        torch.testing.assert_close(
            together[name], torch.stack([one[name] for one in alone]), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("weights", [WeightType.INT8, WeightType.INT4, WeightType.UINT8])
@pytest.mark.parametrize("activations", [ActivationType.UINT8, ActivationType.UINT16])
def test_a_quantized_graph_computes_what_onnx_runtime_computes(
    weights: WeightType, activations: ActivationType
) -> None:
    model = quantized(residual_network(), weights, activations)
    session = CpuModel(model, optimize=False).session
    module = GraphModule(model)
    step = float(constants(model)["y_scale"])
    for item in Pictures(4, seed=3):
        (expected,) = session.run(["y"], item.feeds)
        with torch.no_grad():
            found = module({"x": torch.from_numpy(item.feeds["x"])})["y"].numpy()
        # A value half-way between two integers falls to either side, and what follows with it.
        assert np.abs(found - expected).max() <= 2.01 * step


@pytest.mark.parametrize("weights", [WeightType.INT8, WeightType.INT4])
def test_untrained_weights_go_back_unchanged(weights: WeightType) -> None:
    model = residual_network()
    assert io.serialized(GraphModule(model).write_back()) == io.serialized(model)
    held = quantized(model, weights)
    module = GraphModule(held, constants(model))
    assert io.serialized(module.write_back()) == io.serialized(held)


def test_an_untrained_bias_keeps_digits_that_a_float_has_not() -> None:
    model = residual_network()
    bias = model.graph.initializers["b1"]
    bias.const_value = ir.tensor(1000 * bias.const_value.numpy() + 1, name="b1")
    held = quantized(model, activations=ActivationType.UINT16)
    assert np.abs(held.graph.initializers["b1_quantized"].const_value.numpy()).max() > 1 << 24
    assert io.serialized(GraphModule(held, constants(model)).write_back()) == io.serialized(held)


@pytest.mark.parametrize("weights", [WeightType.INT8, WeightType.INT4])
def test_trained_encodings_keep_what_the_npu_asks_for(weights: WeightType) -> None:
    held = quantized(residual_network(), weights)
    module = GraphModule(held)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for step in module.encodings.scale_parameters():
            step.add_(torch.empty(step.shape).uniform_(-0.5, 0.5, generator=generator))
    trained = module.write_back()
    before, after = constants(held), constants(trained)
    assert lint(trained, 73) == ()
    assert before["x_scale"] == after["x_scale"]  # frames of a camera keep their meaning
    assert after["a1_scale"] == after["p1_scale"] != before["a1_scale"]  # MaxPool only moves values
    assert after["p1_scale"] == after["j1_scale"] == after["p2_scale"]  # and so does Concat
    np.testing.assert_array_equal(
        after["b1_scale"], np.float32(after["x_scale"] * after["w1_scale"])
    )
    assert {name: a.dtype for name, a in before.items()} == {n: a.dtype for n, a in after.items()}


def test_an_operator_that_training_cannot_run_is_named() -> None:
    x = ir.Value(name="x", shape=ir.Shape([1, 4]), type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node("Det", [x], name="odd", outputs=[ir.Value(name="y")])
    model = ir.Model(
        ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 21}), ir_version=10
    )
    with pytest.raises(ModelError, match=r"node 'odd' \(Det\)"):
        GraphModule(model)


def test_without_pytorch_one_sentence_says_what_to_install() -> None:
    code = """
import sys
sys.modules["torch"] = None
try:
    import snapq.training.train
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("InstallError Training needs PyTorch"), done.stderr
    assert "pip install torch" in done.stdout


def test_numbers_that_the_quantizer_varies_and_unrolled_layers_can_be_trained() -> None:
    for model in (joined_numbers(), recurrent(["GRU"], steps=3)):
        samples = feeds(model, 1)
        given = quantize(prepare.prepare(model, {}).model, samples, Scheme()).model
        expected = CpuModel(given, optimize=False).run(samples[0])
        module = GraphModule(given)
        found = module({name: torch.from_numpy(array) for name, array in samples[0].items()})
        for name, values in expected.items():
            assert np.abs(found[name].detach().numpy() - values).max() < 1e-4, name
        for name, values in module.encodings.trained().items():
            before = given.graph.initializers[name].const_value
            assert before is not None
            np.testing.assert_allclose(values, before.numpy(), rtol=1e-5)
