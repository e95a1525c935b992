"""Models whose inputs and outputs are codes take and give real numbers, and take codes too."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.api.calibration import as_taken
from snapq.cpu import CpuModel
from snapq.evaluation.samples import convert
from snapq.graph.code_boundary import real_numbers_at_the_boundary
from snapq.graph.shapes import input_specs

CODES = np.random.default_rng(0).integers(-128, 128, (1, 6, 6, 3)).astype(np.int8)
WEIGHTS = ", ".join(str(n) for n in range(-13, 14))
TFLITE = """<ir_version: 8, opset_import: ["": 17]>
    g (int8[1, 6, 6, 3] x) => (int8[1, 16] y)
    <float s = {0.05}, int8 z = {-3}, float t = {0.1}, int8 u = {-100}, int64[2] flat = {1, 16},
     int8[1, 3, 3, 3] w = {WEIGHTS}, float ws = {0.01}, int8 wz = {0}> {
        moved = Transpose<perm = [0, 3, 1, 2]>(x)
        d = DequantizeLinear(moved, s, z)
        wd = DequantizeLinear(w, ws, wz)
        c = Conv(d, wd)
        q = QuantizeLinear(c, t, u)
        y = Reshape(q, flat)
    }"""
QOPERATOR = """<ir_version: 8, opset_import: ["": 17]>
    g (uint8[1, 3, 6, 6] x) => (uint8[1, 1, 4, 4] y)
    <float s = {0.05}, uint8 z = {125}, float t = {0.1}, uint8 u = {28},
     int8[1, 3, 3, 3] w = {WEIGHTS}, float ws = {0.01}, int8 wz = {0}> {
        y = QLinearConv(x, s, z, w, ws, wz, t, u)
    }"""


def real(codes: np.ndarray, scale: float, zero: int) -> np.ndarray:
    """The real numbers of codes."""
    return ((codes.astype(np.float64) - zero) * scale).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "codes", "taken", "given"),
    [
        (TFLITE, CODES, (0.05, -3), (0.1, -100)),
        (
            QOPERATOR,
            (CODES.transpose(0, 3, 1, 2).astype(np.int16) + 128).astype(np.uint8),
            (0.05, 125),
            (0.1, 28),
        ),
    ],
    ids=["TFLite", "QOperator"],
)
def test_codes_become_real_numbers_and_either_may_be_fed(
    text: str, codes: np.ndarray, taken: tuple[float, int], given: tuple[float, int]
) -> None:
    model = ir.from_proto(onnx.parser.parse_model(text.replace("WEIGHTS", WEIGHTS)))
    truth = real(CpuModel(model, optimize=False).run({"x": codes})["y"], *given)
    notes = real_numbers_at_the_boundary(model)
    assert [note.split("'")[1] for note in notes] == ["x", "y"]
    (spec,) = input_specs(model)
    assert spec.dtype == np.float32
    cpu = CpuModel(model, optimize=False)
    for sample in (codes, real(codes, *taken)):
        assert as_taken({"x": sample}, [spec])["x"].dtype == np.float32
        found = cpu.run({"x": convert(sample, spec, "here")})["y"]
        # Half a step of the output: QLinearConv rounds what lies between two codes otherwise.
        np.testing.assert_allclose(found, truth, atol=0.11)


@pytest.mark.parametrize(
    "body",
    [
        "a = DequantizeLinear(x, s, z) b = DequantizeLinear(x, t, z) y = Add(a, b)",
        "a = Cast<to = 1>(x) y = Mul(a, s)",
    ],
    ids=["two scales", "pixels"],
)
def test_integers_that_are_no_codes_of_one_scale_stay(body: str) -> None:
    model = ir.from_proto(
        onnx.parser.parse_model(
            f"""<ir_version: 8, opset_import: ["": 17]>
            g (uint8[1, 4] x) => (float[1, 4] y)
            <float s = {{0.05}}, uint8 z = {{125}}, float t = {{0.1}}> {{ {body} }}"""
        )
    )
    assert real_numbers_at_the_boundary(model) == ()
    assert model.graph.inputs[0].dtype == ir.DataType.UINT8
