"""Which scales training learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import snapq
from snapq.graph import io
from snapq.training.encodings import LearnedEncodings


@pytest.mark.parametrize(
    ("operator", "learned"), [("Neg", 2), ("Sigmoid", 1), ("LpNormalization", 1)]
)
def test_a_range_that_the_npu_fixes_is_not_learned(
    operator: str, learned: int, tmp_path: Path
) -> None:
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[1,8] x) => (float[1,8] y) {{ a = {operator}(x) y = Sin(a) }}"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    samples = [{"x": np.linspace(-3, 3, 8, dtype=np.float32).reshape(1, 8)}]
    quantized = tmp_path / "quantized.onnx"
    snapq.quantize(
        tmp_path / "model.onnx", samples, activations="uint16", preset="fast", output=quantized
    )
    encodings = LearnedEncodings(io.load(quantized), {})
    assert len(encodings.scale_parameters()) == learned
