"""Models as skl2onnx and onnxmltools write them, trained on scikit-learn's own data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightgbm
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloats
from skl2onnx import to_onnx
from skl2onnx.common import tree_ensemble
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn import (
    datasets,
    ensemble,
    linear_model,
    naive_bayes,
    neural_network,
    preprocessing,
    svm,
    tree,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline, make_union

Rows = NDArray[np.float32]
SEED = {"random_state": 0}


@functools.cache
def data(name: str) -> tuple[Rows, Any]:
    """Rows and targets: `cancer`, `wine`, `digits`, `diabetes`, `wide` (scales 1e-4 to 1e4)."""
    if name == "wide":
        rows, target = datasets.make_classification(
            800, 10, n_informative=6, n_classes=4, random_state=1
        )
        scale = 10.0 ** np.random.default_rng(0).integers(-4, 5, 10)
        return (np.sign(rows) * np.expm1(np.abs(rows)) * scale).astype(np.float32), target
    load = {
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "digits": datasets.load_digits,
        "diabetes": datasets.load_diabetes,
    }[name]
    rows, target = load(return_X_y=True)
    return rows.astype(np.float32), target


def sklearn(estimator: Any, name: str, target: Any = None, **options: Any) -> onnx.ModelProto:
    """Trains an estimator of scikit-learn and converts it; `rows` stand in for those of the set."""
    rows, labels = data(name)
    rows = options.pop("rows", rows)
    estimator.fit(rows, labels if target is None else target(labels))
    options.setdefault("initial_types", None)
    first = None if options["initial_types"] else rows[:1]
    return to_onnx(estimator, first, options=options.pop("convert", None), **options)


def boosted(estimator: Any, name: str, **options: Any) -> onnx.ModelProto:
    """Trains an estimator of XGBoost or LightGBM and converts it."""
    rows, labels = data(name)
    estimator.fit(rows, labels, **options.pop("fit", {}))
    convert = convert_xgboost if type(estimator).__name__.startswith("XGB") else convert_lightgbm
    types = [("x", ToolsFloats([None, rows.shape[1]]))]
    return convert(estimator, initial_types=types, **options)


def xgb(name: str, **options: Any) -> Any:
    """An estimator of XGBoost, which is not built for every machine."""
    return getattr(pytest.importorskip("xgboost"), name)(n_jobs=1, **options)


def lgbm(name: str, **options: Any) -> Any:
    """An estimator of LightGBM."""
    return getattr(lightgbm, name)(n_jobs=1, verbose=-1, **options)


def forest(count: int = 5, **options: Any) -> Any:
    """A small random forest of classes."""
    return ensemble.RandomForestClassifier(count, **SEED, **options)


def both(labels: Any) -> Any:
    """Two targets of one."""
    return np.stack([labels, -labels], axis=1)


def stump() -> Any:
    """A decision tree of classes."""
    return tree.DecisionTreeClassifier(**SEED)


def small(name: str) -> Rows:
    """A few rounded columns: categories that are numbers."""
    return np.round(data(name)[0][:, :3])


PLAIN = {"zipmap": False}
TREES: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    "forest": ("cancer", lambda: sklearn(forest(), "cancer", convert=PLAIN)),
    "forest with ZipMap": ("cancer", lambda: sklearn(forest(), "cancer")),
    "forest of digits": ("digits", lambda: sklearn(forest(), "digits")),
    "forest on wide scales": ("wide", lambda: sklearn(forest(), "wide")),
    "forest with text": ("wine", lambda: sklearn(forest(), "wine", np.array(list("abc")).take)),
    "forest with labels 3 and 7": (
        "cancer",
        lambda: sklearn(forest(), "cancer", lambda labels: labels * 4 + 3),
    ),
    "forest of numbers": (
        "diabetes",
        lambda: sklearn(ensemble.RandomForestRegressor(5, **SEED), "diabetes"),
    ),
    "forest of two numbers": (
        "diabetes",
        lambda: sklearn(ensemble.RandomForestRegressor(5, **SEED), "diabetes", both),
    ),
    "extra trees": ("digits", lambda: sklearn(ensemble.ExtraTreesClassifier(5, **SEED), "digits")),
    "extra trees of numbers": (
        "diabetes",
        lambda: sklearn(ensemble.ExtraTreesRegressor(5, **SEED), "diabetes"),
    ),
    "gradient boosting": (
        "cancer",
        lambda: sklearn(ensemble.GradientBoostingClassifier(n_estimators=5, **SEED), "cancer"),
    ),
    "gradient boosting, 3 classes": (
        "wine",
        lambda: sklearn(ensemble.GradientBoostingClassifier(n_estimators=5, **SEED), "wine"),
    ),
    "gradient boosting, exponential": (
        "cancer",
        lambda: sklearn(
            ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential", **SEED),
            "cancer",
        ),
    ),
    "gradient boosting of numbers": (
        "diabetes",
        lambda: sklearn(ensemble.GradientBoostingRegressor(n_estimators=5, **SEED), "diabetes"),
    ),
    "decision tree": ("wide", lambda: sklearn(stump(), "wide")),
    "decision tree of numbers": (
        "diabetes",
        lambda: sklearn(tree.DecisionTreeRegressor(**SEED), "diabetes"),
    ),
    "XGBoost": ("cancer", lambda: boosted(xgb("XGBClassifier", n_estimators=5), "cancer")),
    "XGBoost, 4 classes": ("wide", lambda: boosted(xgb("XGBClassifier", n_estimators=5), "wide")),
    "XGBoost of numbers": (
        "diabetes",
        lambda: boosted(xgb("XGBRegressor", n_estimators=5), "diabetes"),
    ),
    "XGBoost of counts": (
        "diabetes",
        lambda: boosted(xgb("XGBRegressor", n_estimators=5, objective="count:poisson"), "diabetes"),
    ),
    "XGBoost's forest": ("wine", lambda: boosted(xgb("XGBRFClassifier", n_estimators=5), "wine")),
    "LightGBM": (
        "cancer",
        lambda: boosted(lgbm("LGBMClassifier", n_estimators=5), "cancer"),
    ),
    "LightGBM, 4 classes": (
        "wide",
        lambda: boosted(lgbm("LGBMClassifier", n_estimators=5), "wide", zipmap=False),
    ),
    "LightGBM of numbers, split": (
        "diabetes",
        lambda: boosted(lgbm("LGBMRegressor", n_estimators=5), "diabetes", split=2),
    ),
}
"""Trees: the data set, and what makes the model."""

SEVERAL: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    "AdaBoost": ("cancer", lambda: sklearn(ensemble.AdaBoostClassifier(n_estimators=5), "cancer")),
    "AdaBoost, 3 classes": (
        "wine",
        lambda: sklearn(ensemble.AdaBoostClassifier(n_estimators=5), "wine"),
    ),
    "AdaBoost of numbers": (
        "diabetes",
        lambda: sklearn(ensemble.AdaBoostRegressor(n_estimators=5, **SEED), "diabetes"),
    ),
    "bagging": (
        "cancer",
        lambda: sklearn(ensemble.BaggingClassifier(n_estimators=4, **SEED), "cancer"),
    ),
    "bagging of features": (
        "wine",
        lambda: sklearn(
            ensemble.BaggingClassifier(n_estimators=4, max_features=0.5, **SEED), "wine"
        ),
    ),
    "bagging of numbers": (
        "diabetes",
        lambda: sklearn(ensemble.BaggingRegressor(n_estimators=4, **SEED), "diabetes"),
    ),
    "voting": (
        "wine",
        lambda: sklearn(
            ensemble.VotingClassifier(
                [("a", forest(3)), ("b", stump())], voting="soft", flatten_transform=False
            ),
            "wine",
        ),
    ),
    "voting by labels": (
        "wine",
        lambda: sklearn(
            ensemble.VotingClassifier([("a", forest(3)), ("b", stump())], flatten_transform=False),
            "wine",
        ),
    ),
    "voting of numbers": (
        "diabetes",
        lambda: sklearn(
            ensemble.VotingRegressor(
                [
                    ("a", ensemble.RandomForestRegressor(3, **SEED)),
                    ("b", linear_model.LinearRegression()),
                ]
            ),
            "diabetes",
        ),
    ),
    "stacking": (
        "cancer",
        lambda: sklearn(
            ensemble.StackingClassifier(
                [("a", forest(3)), ("b", stump())], linear_model.LogisticRegression(), cv=2
            ),
            "cancer",
        ),
    ),
    "isolation forest": (
        "wine",
        lambda: sklearn(
            ensemble.IsolationForest(n_estimators=5, **SEED),
            "wine",
            target_opset={"": 18, "ai.onnx.ml": 3},
        ),
    ),
    "calibrated": (
        "cancer",
        lambda: sklearn(CalibratedClassifierCV(forest(3), cv=2), "cancer"),
    ),
    "calibrated by steps, 3 classes": (
        "wine",
        lambda: sklearn(CalibratedClassifierCV(forest(3), cv=2, method="isotonic"), "wine"),
    ),
    "one against the rest": ("wine", lambda: sklearn(OneVsRestClassifier(stump()), "wine")),
    "one against one": ("wine", lambda: sklearn(OneVsOneClassifier(stump()), "wine")),
    "several outputs": (
        "diabetes",
        lambda: sklearn(
            MultiOutputRegressor(ensemble.GradientBoostingRegressor(n_estimators=3, **SEED)),
            "diabetes",
            both,
        ),
    ),
}
"""Models of several estimators."""

HEADS: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    name: ("wine", functools.partial(sklearn, make_pipeline(*steps, stump()), "wine"))
    for name, steps in {
        "StandardScaler": (preprocessing.StandardScaler(),),
        "MinMaxScaler": (preprocessing.MinMaxScaler(clip=True),),
        "MaxAbsScaler": (preprocessing.MaxAbsScaler(),),
        "RobustScaler": (preprocessing.RobustScaler(),),
        "SimpleImputer": (SimpleImputer(),),
        "Normalizer l1": (preprocessing.Normalizer("l1"),),
        "Normalizer l2": (preprocessing.Normalizer("l2"),),
        "Normalizer max": (preprocessing.Normalizer("max"),),
        "Binarizer": (preprocessing.Binarizer(threshold=3.0),),
        "KBinsDiscretizer": (preprocessing.KBinsDiscretizer(4, encode="onehot-dense"),),
        "PolynomialFeatures": (SelectKBest(k=4), preprocessing.PolynomialFeatures(2)),
        "FunctionTransformer": (preprocessing.FunctionTransformer(),),
        "QuantileTransformer": (preprocessing.QuantileTransformer(n_quantiles=9),),
        "PowerTransformer": (preprocessing.PowerTransformer(),),
        "PCA": (PCA(3),),
        "union": (make_union(preprocessing.StandardScaler(), PCA(3)),),
        "columns": (
            ColumnTransformer(
                [
                    ("a", preprocessing.StandardScaler(), [0, 2]),
                    ("b", preprocessing.MinMaxScaler(), [1, 3]),
                ],
                remainder="passthrough",
            ),
        ),
    }.items()
}
"""Preparation of features in front of a tree."""

OTHERS: dict[str, tuple[str, Callable[[], onnx.ModelProto]]] = {
    "SVC": ("cancer", lambda: sklearn(_scaled(svm.SVC()), "cancer")),
    "SVC, 3 classes": ("wine", lambda: sklearn(_scaled(svm.SVC()), "wine")),
    "SVC, linear": ("wine", lambda: sklearn(_scaled(svm.SVC(kernel="linear")), "wine")),
    "SVC, poly": ("cancer", lambda: sklearn(_scaled(svm.SVC(kernel="poly")), "cancer")),
    "SVC, sigmoid": ("cancer", lambda: sklearn(_scaled(svm.SVC(kernel="sigmoid")), "cancer")),
    "SVC, decisions": (
        "wine",
        lambda: sklearn(svm.SVC(), "wine", convert={"raw_scores": True}),
    ),
    "SVC, probabilities": (
        "wine",
        lambda: sklearn(_scaled(svm.SVC(probability=True, **SEED)), "wine"),
    ),
    "SVC, 2 probabilities": (
        "cancer",
        lambda: sklearn(_scaled(svm.SVC(probability=True, **SEED)), "cancer"),
    ),
    "SVR": ("diabetes", lambda: sklearn(svm.SVR(), "diabetes")),
    "NuSVR": ("diabetes", lambda: sklearn(svm.NuSVR(), "diabetes")),
    "OneClassSVM": ("diabetes", lambda: sklearn(svm.OneClassSVM(), "diabetes")),
    "LinearSVC": ("cancer", lambda: sklearn(svm.LinearSVC(), "cancer")),
    "LinearSVC, 3 classes": ("wine", lambda: sklearn(svm.LinearSVC(), "wine")),
    "LogisticRegression": ("cancer", lambda: sklearn(_scaled(_logistic()), "cancer")),
    "LogisticRegression, 3 classes": ("wine", lambda: sklearn(_scaled(_logistic()), "wine")),
    "LinearRegression": (
        "diabetes",
        lambda: sklearn(linear_model.LinearRegression(), "diabetes"),
    ),
    "LinearRegression of two": (
        "diabetes",
        lambda: sklearn(linear_model.LinearRegression(), "diabetes", both),
    ),
    "SGDClassifier": ("wine", lambda: sklearn(linear_model.SGDClassifier(**SEED), "wine")),
    "MLPClassifier": ("digits", lambda: sklearn(_scaled(_perceptron((16,), "relu")), "digits")),
    "MLPClassifier, 2 classes": ("cancer", lambda: sklearn(_perceptron((8, 4), "tanh"), "cancer")),
    "MLPClassifier, sigmoids": (
        "wine",
        lambda: sklearn(_scaled(_perceptron((8, 8), "logistic")), "wine"),
    ),
    "MLPRegressor": (
        "diabetes",
        lambda: sklearn(
            neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, **SEED), "diabetes"
        ),
    ),
    "GaussianNB": ("wine", lambda: sklearn(naive_bayes.GaussianNB(), "wine")),
}
"""Support vector machines and linear models."""


def _scaled(estimator: Any) -> Any:
    return make_pipeline(preprocessing.StandardScaler(), estimator)


def _perceptron(hidden: tuple[int, ...], activation: str) -> Any:
    return neural_network.MLPClassifier(hidden, activation=activation, max_iter=5, **SEED)


def _logistic() -> Any:
    return linear_model.LogisticRegression(max_iter=50)


def integers() -> onnx.ModelProto:
    """A forest that takes int64."""
    rows = data("cancer")[0].astype(np.int64)
    types = [("x", Int64TensorType([None, rows.shape[1]]))]
    return sklearn(forest(), "cancer", rows=rows, initial_types=types)


def doubles() -> onnx.ModelProto:
    """A forest that takes float64."""
    rows = data("cancer")[0].astype(np.float64)
    types = [("x", DoubleTensorType([None, rows.shape[1]]))]
    return sklearn(forest(), "cancer", rows=rows, initial_types=types)


def categories() -> tuple[onnx.ModelProto, Rows]:
    """LightGBM on a feature of categories, which the converter writes as chains of EQ."""
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(0, 12, 2000), rng.standard_normal(2000)], 1).astype(np.float32)
    labels = (np.isin(rows[:, 0], [1, 4, 7, 9]) ^ (rows[:, 1] > 0)).astype(int)
    model = lgbm("LGBMClassifier", n_estimators=10)
    model.fit(rows, labels, categorical_feature=[0])
    types = [("x", ToolsFloats([None, 2]))]
    return convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15), rows


@contextmanager
def _plain_ints() -> Iterator[None]:
    """Makes skl2onnx 1.20 write the sides of missing values as integers."""
    add_node = tree_ensemble.add_node

    def add(*arguments: Any, **options: Any) -> None:
        options["nodes_missing_value_tracks_true"] = int(
            options.get("nodes_missing_value_tracks_true", 0)
        )
        add_node(*arguments, **options)

    tree_ensemble.add_node = add
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node


def histogram(name: str, missing: bool = False) -> tuple[onnx.ModelProto, Rows]:
    """scikit-learn's histogram boosting, whose converter stumbles over a bool in onnx 1.23."""
    rows, labels = data(name)
    rows = rows.copy()
    if missing:
        rows[np.random.default_rng(0).random(rows.shape) < 0.15] = np.nan
    model = ensemble.HistGradientBoostingClassifier(max_iter=5, **SEED).fit(rows, labels)
    with _plain_ints():
        return to_onnx(model, rows[:1], options=PLAIN), rows
