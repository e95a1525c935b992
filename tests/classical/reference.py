"""ONNX Runtime's answers, and whether others are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

TIE = 1e-6
"""Scores that differ by less are equal: ONNX Runtime adds float32 in an order of its own."""


def onnxruntime_answers(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[NDArray[Any]]:
    """What ONNX Runtime gives; tables of names (ZipMap) as matrices, lists as their members."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    answers: list[NDArray[Any]] = []
    for answer in session.run(None, feeds):
        if isinstance(answer, list) and answer and isinstance(answer[0], dict):
            answers.append(np.array([list(row.values()) for row in answer]))
        elif isinstance(answer, list):
            answers.extend(answer)
        else:
            answers.append(answer)
    return answers


def assert_same(found: dict[str, NDArray[Any]], expected: list[NDArray[Any]]) -> None:
    """Labels are the same but for ties, numbers within 1e-5 of their range."""
    assert len(found) == len(expected)
    doubtful = np.zeros(len(expected[0]), np.bool_)
    for scores in expected:
        if scores.dtype.kind == "f" and scores.ndim == 2:
            doubtful |= _ties(scores)
    for (name, values), wanted in zip(found.items(), expected, strict=True):
        assert values.shape == wanted.shape, name
        if wanted.dtype.kind == "f":
            finite = wanted[np.isfinite(wanted)]
            span = max(1.0, float(np.ptp(finite)) if finite.size else 1.0)
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-5 * span, err_msg=name)
        else:
            assert wanted.dtype.kind == "O" or values.dtype == wanted.dtype
            different = (values != wanted).reshape(len(values), -1).any(1)
            assert not (different & ~doubtful).any(), name


def _ties(scores: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows whose two best scores are the same, or where one score is at the limit of a label."""
    ordered = np.sort(scores, axis=1)
    tied = np.zeros(len(scores), np.bool_)
    if scores.shape[1] > 1:
        tied = ordered[:, -1] - ordered[:, -2] <= 2 * TIE
    near = np.isclose(scores, 0.5, rtol=0, atol=TIE) | np.isclose(scores, 0, rtol=0, atol=TIE)
    return np.asarray(tied | near.any(1))
