"""Every label and value of trees on the simulated NPU, against ONNX Runtime.

    python -m benchmarks.tree_answers [--form {limbs,ranks} …] [NAME …]

Six kinds of models over six tables, of which a third of the values are made hard: thresholds,
values one step beside them, NaN, infinities and -0.0. Each model goes whole through head, simulator
(v68, v73, v75, v81) and tail. One line a generation: labels that are equal or tied (scores within
1e-6), numbers by their largest error over the range. It fails where a label differs or an error is
above 1e-5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from sklearn import datasets, ensemble

from snapq.classical.model import ClassicalModel
from snapq.classical.program import Program
from snapq.classical.trees import OnDevice
from snapq.classical.trees.network import OUTPUT
from snapq.classical.trees.plan import Plan
from snapq.devices.profiles import find
from snapq.npu.model import Memory, Model
from tests.classical import exports

GENERATIONS = ("qcs6490", "qcs9075", "sm8650", "sa8797p")
"""v68, v73, v75, v81."""
ROWS, CALLS = 128, 3
TREES = 50
HARD = 0.3
TIE, MOST_ERROR = 1e-6, 1e-5
Rows = NDArray[np.float32]


def table(name: str) -> tuple[Rows, Any]:
    """Rows and targets of a table; `synth` has 20,000 rows of 20 columns."""
    if name != "synth":
        return exports.data(name)
    rows, target = datasets.make_classification(
        20_000, 20, n_informative=12, n_classes=4, random_state=0
    )
    return rows.astype(np.float32), target


def models() -> Iterator[tuple[str, str, Callable[[], onnx.ModelProto]]]:
    """Name, table and maker of each model."""
    sk = {"n_estimators": TREES, "random_state": 0}
    classes: dict[str, Callable[[], Any]] = {
        "RandomForest": lambda: ensemble.RandomForestClassifier(max_depth=10, **sk),
        "ExtraTrees": lambda: ensemble.ExtraTreesClassifier(max_depth=10, **sk),
        "GradientBoosting": lambda: ensemble.GradientBoostingClassifier(
            **sk | {"n_estimators": 20}
        ),
        "XGBoost": lambda: exports.xgb("XGBClassifier", n_estimators=20),
        "LightGBM": lambda: exports.lgbm("LGBMClassifier", n_estimators=20),
    }
    numbers: dict[str, Callable[[], Any]] = {
        "RandomForest": lambda: ensemble.RandomForestRegressor(**sk),
        "ExtraTrees": lambda: ensemble.ExtraTreesRegressor(**sk),
        "GradientBoosting": lambda: ensemble.GradientBoostingRegressor(**sk),
        "XGBoost": lambda: exports.xgb("XGBRegressor", n_estimators=TREES),
        "LightGBM": lambda: exports.lgbm("LGBMRegressor", n_estimators=TREES),
    }
    for data in ("cancer", "wine", "digits", "wide", "synth", "diabetes"):
        for kind, make in (numbers if data == "diabetes" else classes).items():
            yield f"{kind} {data}", data, lambda make=make, data=data: _export(make(), data)
    for data in ("cancer", "wine", "digits", "wide"):  # trained with NaN, which goes both ways
        name = f"HistGradientBoosting {data}"
        yield name, data, lambda data=data: exports.histogram(data, missing=True)[0]


def _export(estimator: Any, data: str) -> onnx.ModelProto:
    rows, target = table(data)
    estimator.fit(rows, target)
    if type(estimator).__module__.startswith("sklearn"):
        return exports.to_onnx(estimator, rows[:1])
    convert = exports.convert_xgboost
    if type(estimator).__name__.startswith("LGBM"):
        convert = exports.convert_lightgbm
    types = [("x", exports.ToolsFloats([None, rows.shape[1]]))]
    return convert(estimator, initial_types=types)


def hard_rows(model: ClassicalModel, rows: Rows) -> Rows:
    """Rows of the table, some values of which are thresholds, beside them, or no numbers."""
    rng = np.random.default_rng(0)
    chosen = rows[rng.integers(0, len(rows), ROWS * CALLS)].copy()
    for column in range(chosen.shape[1]):
        asked = [one.form.conditions for one in model.estimators]  # type: ignore[union-attr]
        near = np.concatenate([a.thresholds[a.features == column] for a in asked])
        near = np.append(near, np.float32(0))
        drawn = rng.choice(near, len(chosen))
        way = rng.choice([-np.inf, np.inf], len(chosen)).astype(np.float32)
        beside = np.where(rng.random(len(chosen)) < 0.5, drawn, np.nextafter(drawn, way))
        special = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0], np.float32), len(chosen))
        new = np.where(rng.random(len(chosen)) < 0.2, special, beside)
        chosen[:, column] = np.where(rng.random(len(chosen)) < HARD, new, chosen[:, column])
    return chosen


def answers(model: ClassicalModel, plan: Plan, npu: Model, rows: Rows) -> dict[str, NDArray[Any]]:
    """What head, simulated NPU and tail make of rows."""
    parts = model.parts()
    head = parts.head.run({model.inputs[0].name: rows})
    read = tuple(dict.fromkeys(one.rows for one in parts.estimators))
    encode = Program(read, tuple(given.name for given in plan.encoding.inputs), plan.encode())
    decode = Program((OUTPUT,), tuple(one.sums for one in parts.estimators), plan.decode())
    starts = range(0, len(rows), ROWS)
    feeds = [encode.run({n: head[n][at : at + ROWS] for n in read}) for at in starts]
    made = [decode.run({OUTPUT: given[OUTPUT]}) for given in npu.simulate(feeds)]
    sums = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    return parts.tail.run({n: sums.get(n, head.get(n)) for n in parts.tail.inputs})


def judge(found: dict[str, NDArray[Any]], wanted: list[Any]) -> tuple[str, bool]:
    """Compares answers with those of ONNX Runtime; says what was found and whether it is right."""
    shown, right = [], True
    scores = [_matrix(value) for value in wanted]
    tied = np.zeros(ROWS * CALLS, np.bool_)
    for one in scores:
        if one.dtype.kind == "f" and one.shape[1] > 1:
            ordered = np.sort(one, axis=1)
            tied |= ordered[:, -1] - ordered[:, -2] <= 2 * TIE
    for (name, got), want in zip(found.items(), scores, strict=True):
        if want.dtype.kind == "f":
            error = np.abs(_matrix(got) - want).max() / max(float(np.ptp(want)), TIE)
            shown.append(f"{name}: error {error:.1e} of the range")
            right &= bool(error <= MOST_ERROR)
        else:
            different = (_matrix(got) != want).any(1)
            ties = int((different & tied).sum())
            right &= not (different & ~tied).any()
            shown.append(f"{name}: {len(want) - different.sum()} equal, {ties} tied of {len(want)}")
    return "; ".join(shown), right


def _matrix(value: Any) -> NDArray[Any]:
    if isinstance(value, list):  # ZipMap
        value = np.array([list(row.values()) for row in value], np.float32)
    array = np.asarray(value)
    return array.reshape(len(array), -1)


def check(name: str, proto: onnx.ModelProto, rows: Rows, form: str) -> bool:
    """Runs one model on every generation."""
    model = ClassicalModel.read(proto)
    given = hard_rows(model, rows)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = session.run(list(model.outputs), {model.inputs[0].name: given})
    plan = OnDevice(model.parts().estimators, find("qcs9075"), form, Memory()).at(ROWS).plan
    right = True
    for device in map(find, GENERATIONS):
        shown, good = judge(answers(model, plan, Model(plan.model(), device), given), wanted)
        right &= good
        print(f"{name:27} {form:6} v{device.architecture} {shown}{'' if good else '  WRONG'}")
        sys.stdout.flush()
    return right


def main() -> int:
    """Runs all models, or those whose names hold one of the words given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--form", nargs="+", default=["limbs", "ranks"], choices=["limbs", "ranks"])
    asked = parser.parse_args()
    right = True
    for name, data, make in models():
        if not asked.names or any(word in name for word in asked.names):
            proto = make()
            for form in asked.form:
                right &= check(name, proto, table(data)[0], form)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
