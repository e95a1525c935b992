"""Random numbers of a model: drawn once, of the distribution that the node has, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from snapq.graph.cutting import open_given
from tests.graph.models import build, run

TIMES = 4000
DRAWS = {
    "RandomNormalLike <mean = 2.0, scale = 0.5> (x)": (2.0, 0.5),
    "RandomUniformLike <low = -1.0, high = 3.0> (x)": (1.0, 4 / 12**0.5),
    f"RandomNormal <scale = 3.0, shape = [1, {TIMES}]> ()": (0.0, 3.0),
    f"RandomUniform <shape = [1, {TIMES}]> ()": (0.5, 1 / 12**0.5),
    "Bernoulli (p)": (0.3, 0.21**0.5),
}


def _opened(text: str, folder: Path) -> tuple[ir.Model, tuple[str, ...]]:
    ir.save(build(text), folder / "model.onnx")
    found = open_given(folder / "model.onnx", {})
    return found.model, found.notes


@pytest.mark.parametrize("draw", DRAWS)
def test_numbers_are_drawn_once(draw: str, tmp_path: Path) -> None:
    text = f"""(float[1,{TIMES}] x, float[1,{TIMES}] p) => (float[1,{TIMES}] y) {{
        n = {draw} y = Add (n, x) }}"""
    model, notes = _opened(text, tmp_path)
    feeds = {
        "x": np.zeros((1, TIMES), np.float32),
        "p": np.full((1, TIMES), 0.3, np.float32),
    }
    (numbers,), (again,) = run(model, feeds), run(model, feeds)
    np.testing.assert_array_equal(numbers, again)
    mean, deviation = DRAWS[draw]
    assert abs(numbers.mean() - mean) < 5 * deviation / TIMES**0.5
    assert abs(numbers.std() / deviation - 1) < 0.1
    assert draw.split()[0] in " ".join(notes)
    assert "one draw" in " ".join(notes)


def test_two_nodes_draw_different_numbers_of_a_computed_shape(tmp_path: Path) -> None:
    text = """(float[2,3,8] x) => (float[2,3,8] y) {
        s = Shape (x) z = ConstantOfShape (s) a = RandomNormalLike (z) b = RandomNormalLike (z)
        d = Sub (a, b) y = Mul (d, x) }"""
    (model, _), (same, _) = (_opened(text, tmp_path) for _ in range(2))
    feeds = {"x": np.ones((2, 3, 8), np.float32)}
    assert np.abs(run(model, feeds)[0]).min() > 0
    np.testing.assert_array_equal(run(model, feeds)[0], run(same, feeds)[0])
