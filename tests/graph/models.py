"""Small models from their text form, and the comparison of what two models compute."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.graph.prepare import Prepared, prepare
from snapq.graph.shapes import TensorSpec, input_specs


def build(text: str, opset: int = 17, ir_version: int = 8, domains: str = "") -> ir.Model:
    """A model from ONNX's text form of a graph; inputs whose name begins with `w` become weights.

    Weights of floats are random and the same for the same name; `w_positive...` are above 0.5.
    """
    header = f'<ir_version: {ir_version}, opset_import: ["" : {opset}{domains}]> g '
    proto = onnx.parser.parse_model(header + text)
    for value in [item for item in proto.graph.input if item.name.startswith("w")]:
        proto.graph.input.remove(value)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        random = np.random.default_rng(zlib.crc32(value.name.encode()))
        array = random.normal(size=shape) * 0.5
        if value.name.startswith("w_positive"):
            array = np.abs(array) + 0.5
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(kind), value.name))
    return ir.serde.deserialize_model(proto)


def feeds_for(specs: Sequence[TensorSpec], seed: int = 0) -> dict[str, np.ndarray]:
    """Plausible inputs: normal floats, small whole numbers, coin tosses."""
    random = np.random.default_rng(seed)
    feeds = {}
    for spec in specs:
        if spec.dtype.kind == "f":
            feeds[spec.name] = random.normal(size=spec.shape).astype(spec.dtype)
        elif spec.dtype.kind == "b":
            feeds[spec.name] = random.integers(0, 2, spec.shape).astype(bool)
        else:
            feeds[spec.name] = random.integers(0, 3, spec.shape).astype(spec.dtype)
    return feeds


def run(model: ir.Model, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of a model on ONNX Runtime's CPU provider, node by node as written."""
    session = CpuModel(model, optimize=False).session
    kinds = {"tensor(float16)": np.float16, "tensor(double)": np.float64}
    given = {
        item.name: feeds[item.name].astype(kinds.get(item.type, feeds[item.name].dtype))
        for item in session.get_inputs()
    }
    return [np.asarray(array) for array in session.run(None, given)]


def assert_same_results(
    original: ir.Model, prepared: ir.Model, tolerance: float = 1e-4, seeds: int = 2
) -> None:
    """Both models give the same shapes and, to the tolerance, the same values on random inputs."""
    for seed in range(seeds):
        feeds = feeds_for(input_specs(prepared), seed)
        for wanted, found in zip(run(original, feeds), run(prepared, feeds), strict=True):
            assert found.shape == wanted.shape
            scale = float(np.abs(wanted.astype(np.float64)).max(initial=1e-3))
            np.testing.assert_allclose(
                found.astype(np.float64), wanted.astype(np.float64), atol=tolerance * scale, rtol=0
            )


def prepared_from(text: str, opset: int = 17, **options: str) -> tuple[Prepared, list[str]]:
    """Prepares a text model, checks that it still computes the same, and lists its operators."""
    model = build(text, opset, **options)
    result = prepare(model, {})
    assert_same_results(model, result.model)
    return result, [node.op_type for node in result.model.graph]
