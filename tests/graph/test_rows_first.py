"""Probabilities of several labels come with the rows first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from sklearn.tree import DecisionTreeClassifier

from snapq.cpu import CpuModel
from snapq.graph import io


def test_rows_come_before_labels(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    labels = np.stack([rows[:, 0] > 0, rows[:, 1] > 0.3], 1).astype(int)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows, labels)
    model = to_onnx(tree, rows[:1], options={"zipmap": False}, target_opset=18)
    onnx.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    by_label = session.run(["probabilities"], {"X": rows})[0]
    assert by_label.shape == (2, 40, 2)
    loaded = io.load(tmp_path / "model.onnx")
    (found,) = [value for value in loaded.graph.outputs if value.name == "probabilities"]
    assert found.shape is not None
    assert list(found.shape)[1:] == [2, 2]
    answers = CpuModel(loaded).run({"X": rows})
    np.testing.assert_array_equal(answers["probabilities"], by_label.swapaxes(0, 1))
