"""Estimators within estimators, and models that only scikit-learn calls alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from sklearn import ensemble, gaussian_process, linear_model, neighbors, preprocessing, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline

from snapq.classical.model import ClassicalModel
from snapq.classical.on_npu import npu_estimators
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.errors import ModelError
from snapq.graph.classical import is_classical
from tests.classical.exports import SEED, data, forest, sklearn
from tests.classical.reference import assert_same, onnxruntime_answers


def scaled(estimator: Any) -> Any:
    return make_pipeline(preprocessing.StandardScaler(), estimator)


def two_questions(labels: Any) -> Any:
    return np.stack([labels > 0, labels > 1], axis=1).astype(np.int64)


COMBINATIONS: dict[str, tuple[str, Callable[[], onnx.ModelProto], int]] = {
    "stacking": (
        "wine",
        lambda: sklearn(
            ensemble.StackingClassifier(
                [("a", svm.SVC()), ("b", linear_model.RidgeClassifier())],
                linear_model.LogisticRegression(),
                cv=2,
            ),
            "wine",
        ),
        2,
    ),
    "voting of trees and a machine": (
        "wine",
        lambda: sklearn(
            ensemble.VotingClassifier(
                [("a", forest(3)), ("b", scaled(svm.SVC()))], flatten_transform=False
            ),
            "wine",
        ),
        1,
    ),
    "calibrated": (
        "cancer",
        lambda: sklearn(scaled(CalibratedClassifierCV(svm.LinearSVC(), cv=2)), "cancer"),
        2,
    ),
    "bagging": (
        "wine",
        lambda: sklearn(scaled(ensemble.BaggingClassifier(svm.SVC(), 3, **SEED)), "wine"),
        3,
    ),
    "one against the rest": (
        "wine",
        lambda: sklearn(scaled(OneVsRestClassifier(svm.SVC())), "wine"),
        3,
    ),
    "one against one": (
        "wine",
        lambda: sklearn(scaled(OneVsOneClassifier(svm.LinearSVC())), "wine"),
        3,
    ),
    "several questions": (
        "wine",
        lambda: sklearn(scaled(MultiOutputClassifier(svm.SVC())), "wine", two_questions),
        2,
    ),
    "products of features": (
        "wine",
        lambda: sklearn(
            scaled(make_pipeline(preprocessing.PolynomialFeatures(2), svm.SVC())), "wine"
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_machines_within_others_answer_like_onnxruntime(name: str) -> None:
    rows_of, make, on_npu = COMBINATIONS[name]
    model, rows = make(), data(rows_of)[0]
    read = ClassicalModel.read(model)
    assert len(npu_estimators(read)[0]) == on_npu
    given = {model.graph.input[0].name: rows}
    found = read.run(given)
    assert_same(found, onnxruntime_answers(model, given))
    assert_same(found, onnxruntime_answers(rewrite_for_cpu(read), given))


def test_a_detector_of_outliers_without_a_node_of_onnx_ml_is_a_linear_model() -> None:
    model = sklearn(linear_model.SGDOneClassSVM(**SEED), "cancer")
    assert not any(node.domain for node in model.graph.node)
    assert is_classical(ir.from_proto(model))


@pytest.mark.parametrize(
    "estimator",
    [
        neighbors.KNeighborsRegressor(),
        gaussian_process.GaussianProcessRegressor(),
    ],
)
def test_models_of_all_rows_that_they_were_trained_with_are_refused_by_name(estimator: Any) -> None:
    model = sklearn(estimator, "wine")
    assert is_classical(ir.from_proto(model))
    with pytest.raises(ModelError, match="nearest neighbours, Gaussian processes") as caught:
        ClassicalModel.read(model)
    assert "SVM" in str(caught.value.hint)
