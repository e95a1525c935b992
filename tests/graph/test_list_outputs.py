"""A list of probabilities, one tensor a label, becomes an output each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.multioutput import MultiOutputClassifier

from snapq.cpu import CpuModel
from snapq.graph import io


def test_each_tensor_of_a_list_is_an_output(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    labels = np.stack([rows[:, 0] > 0, np.digitize(rows[:, 1], [-1, 1])], 1).astype(int)
    forests = MultiOutputClassifier(RandomForestClassifier(3, random_state=0)).fit(rows, labels)
    model = to_onnx(forests, rows[:1], target_opset=18)
    onnx.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    chosen, scores = session.run(None, {"X": rows})
    answers = CpuModel(io.load(tmp_path / "model.onnx")).run({"X": rows})
    assert list(answers) == ["label", "probabilities_0", "probabilities_1"]
    np.testing.assert_array_equal(answers["label"], chosen)
    for number, one in enumerate(scores):
        np.testing.assert_array_equal(answers[f"probabilities_{number}"], one)
