"""SVMs and linear models on the NPU, against ONNX Runtime's own operators.

    python -m benchmarks.svm              # 64 rows at once
    python -m benchmarks.svm --rows 1024 --only digits

The first table has, for each model, the share of answers that are ONNX Runtime's (of a regression 1
less the largest error over the range), the SQNR of the decision values in dB, and Qualcomm's
estimate for the QCS9075 in us: in fp16, w8a16 (also on the QCS6490, v68) and w8a8. The second has
the times of ONNX Runtime's operator and of the CPU form at 1,024 rows on one thread. Needs
scikit-learn and skl2onnx.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from skl2onnx import to_onnx
from sklearn import datasets, linear_model, svm
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from snapq.classical.lowered import Lowered
from snapq.classical.lowering import calibration_rows, lower
from snapq.classical.model import ClassicalModel
from snapq.classical.program import Array, Program
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.graph.float16.run import write_for_float16
from snapq.graph.prepare import prepare
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize

TEST_ROWS = 512
TRAINING_ROWS = 3000
CALIBRATION_ROWS = 1024
COLUMNS = (("fp16", "qcs9075"), ("w8a16", "qcs9075"), ("w8a16", "qcs6490"), ("w8a8", "qcs9075"))


def scaled(estimator: Any) -> Any:
    """An estimator behind a StandardScaler."""
    return make_pipeline(StandardScaler(), estimator)


ZOO: dict[str, tuple[str, Callable[[], Any]]] = {
    "cancer RBF": ("cancer", lambda: scaled(svm.SVC())),
    "cancer linear": ("cancer", lambda: scaled(svm.SVC(kernel="linear"))),
    "cancer poly": ("cancer", lambda: scaled(svm.SVC(kernel="poly", coef0=1.0))),
    "cancer sigmoid": ("cancer", lambda: scaled(svm.SVC(kernel="sigmoid"))),
    "cancer NuSVC": ("cancer", lambda: scaled(svm.NuSVC(nu=0.2))),
    "cancer RBF, raw": ("cancer", svm.SVC),
    "cancer OneClass": ("cancer", lambda: scaled(svm.OneClassSVM(nu=0.1))),
    "wine RBF": ("wine", lambda: scaled(svm.SVC())),
    "wine RBF, probability": ("wine", lambda: scaled(svm.SVC(probability=True))),
    "digits RBF": ("digits", svm.SVC),
    "digits linear": ("digits", lambda: svm.SVC(kernel="linear")),
    "digits poly": ("digits", lambda: svm.SVC(kernel="poly", degree=2)),
    "diabetes SVR": ("diabetes", lambda: scaled(svm.SVR(C=100.0))),
    "diabetes NuSVR": ("diabetes", lambda: scaled(svm.NuSVR(C=100.0))),
    "synthetic RBF": ("synthetic", lambda: scaled(svm.SVC())),
    "digits LinearSVC": ("digits", svm.LinearSVC),
    "cancer LogisticRegression": ("cancer", lambda: scaled(linear_model.LogisticRegression())),
    "diabetes LinearSVR": ("diabetes", lambda: scaled(svm.LinearSVR(C=10.0))),
    "diabetes Ridge": ("diabetes", linear_model.Ridge),
}


@dataclass(frozen=True)
class Trained:
    """A model of the zoo as ONNX, with rows that it was trained on and others."""

    model: onnx.ModelProto
    training: Array
    test: Array


def trained(data: str, make: Callable[[], Any]) -> Trained:
    """Trains and converts a model."""
    if data == "synthetic":
        rows, target = datasets.make_classification(
            20_000, 20, n_informative=12, n_redundant=4, n_classes=4, random_state=0
        )
    else:
        name = "breast_cancer" if data == "cancer" else data
        rows, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    split = train_test_split(rows.astype(np.float32), target, test_size=0.3, random_state=0)
    training, test, known, _ = split
    estimator = make().fit(training[:TRAINING_ROWS], known[:TRAINING_ROWS])
    model = to_onnx(estimator, training[:1])
    return Trained(model, training[:CALIBRATION_ROWS], test[:TEST_ROWS])


class Road:
    """Head, NPU part and tail of one model."""

    def __init__(self, given: Trained, rows: int, *, halves: bool = False) -> None:
        self._read = ClassicalModel.read(given.model)
        self._parts = self._read.parts()
        (self._estimator,) = self._parts.estimators
        self._rows = rows
        self._lowered: Lowered = lower(self._estimator, rows, halves=halves)
        self.model = prepare(self._lowered.model, {}).model
        self.form = self._estimator.form

    def head(self, rows: Array) -> dict[str, Array]:
        """What the host computes in front."""
        return self._parts.head.run({self._read.inputs[0].name: rows})

    def feeds(self, rows: Array) -> list[dict[str, Array]]:
        """Batches for the NPU; the last one is filled up. `rows` are those of the estimator."""
        filled = np.concatenate([rows, rows[:1].repeat(-len(rows) % self._rows, axis=0)])
        head = Program((self._estimator.rows,), self._lowered.inputs, self._lowered.encode)
        parts = np.split(filled, len(filled) // self._rows)
        return [head.run({self._estimator.rows: part}) for part in parts]

    def calibration(self, rows: Array, wide: bool) -> list[dict[str, Array]]:
        """Batches of encoded rows; with the model's own vectors where 16 bits have room."""
        seen = self.head(rows)[self._estimator.rows]
        own = calibration_rows(self.form) if wide else seen[:0]  # type: ignore[arg-type]
        return self.feeds(np.concatenate([seen, own]))

    def answers(
        self, rows: Array, run: Callable[[list[dict[str, Array]]], Iterator[dict[str, Array]]]
    ) -> tuple[Array, dict[str, Array]]:
        """Sums of the estimator, and outputs of the model."""
        values = self.head(rows)
        own = values[self._estimator.rows]
        outputs = list(run(self.feeds(own)))
        made = {
            name: np.concatenate([batch[name] for batch in outputs])[: len(rows)]
            for name in self._lowered.outputs
        }
        inputs = (self._estimator.rows, *self._lowered.outputs)
        tail = Program(inputs, (self._estimator.sums,), self._lowered.decode)
        sums = tail.run({self._estimator.rows: own, **made})
        return sums[self._estimator.sums], self._parts.tail.run({**values, **sums})


def equal(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """Share of labels that are the same, or 1 less the largest error over the range."""
    (name, wanted), *_ = expected.items()
    values = found[name]
    if wanted.dtype.kind == "f":
        return float(1 - np.abs(values - wanted).max() / np.ptp(wanted))
    return float(np.mean(values.ravel() == wanted.ravel()))


def sqnr(wanted: Array, found: Array) -> float:
    """Of the decision values, in dB."""
    noise = float(((wanted - found) ** 2).sum())
    return float(10 * np.log10((wanted**2).sum() / max(noise, 1e-30)))


def cell(road: Road, given: Trained, precision: str, device_name: str) -> str:
    """Equal answers, SQNR and estimate of one precision on one device."""
    device = find(device_name)
    if precision == "fp16":
        model = road.model.clone()
        write_for_float16(model)
    else:
        wide = precision == "w8a16"
        scheme = Scheme(
            activations=ActivationType.UINT16 if wide else ActivationType.UINT8,
            architecture=device.architecture,
            float16="fp16" in device.precisions,
        )
        samples = road.calibration(given.training, wide)
        model = quantize(road.model, samples, scheme).model
    npu = Model(model, device)
    expected = reference(given)
    sums, found = road.answers(given.test, lambda feeds: npu.simulate(feeds))
    exact, _ = road.answers(given.test, lambda feeds: map(CpuModel(road.model).run, feeds))
    time_us = f"{npu.estimate().us:.0f}" if device.has_estimate else ""
    return f"{equal(found, expected):.4f} {sqnr(exact, sums):5.1f} {time_us:>4}"


def reference(given: Trained) -> dict[str, Array]:
    """ONNX Runtime's outputs."""
    model = CpuModel(given.model.SerializeToString())
    return model.run({given.model.graph.input[0].name: given.test}, model.outputs[:1])


def fastest_us(work: Callable[[], object]) -> float:
    """The fastest of many runs."""
    work()
    best, end = float("inf"), time.perf_counter() + 0.7
    while time.perf_counter() < end:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best * 1e6


def operator_alone(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The SVM of a model without what stands around it."""
    nodes = [node for node in model.graph.node if node.op_type.startswith("SVM")]
    if len(nodes) != 1:
        return None
    features = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    rows = onnx.helper.make_tensor_value_info(nodes[0].input[0], 1, [None, features])
    texts = any(one.name == "classlabels_strings" for one in nodes[0].attribute)
    kinds = [1] if len(nodes[0].output) == 1 else [8 if texts else 7, 1]
    outputs = [
        onnx.helper.make_tensor_value_info(name, kind, None)
        for name, kind in zip(nodes[0].output, kinds, strict=True)
    ]
    graph = onnx.helper.make_graph(nodes, "svm", [rows], outputs)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=9)


def cpu_times(given: Trained, rows: int = 1024) -> str | None:
    """Times of the operator alone and of the whole model, as it is and in the CPU form."""
    alone = operator_alone(given.model)
    if alone is None:
        return None
    x = np.resize(given.test, (rows, given.test.shape[1]))
    found = []
    for model in (alone, given.model):
        times = []
        for one in (model, rewrite_for_cpu(ClassicalModel.read(model))):
            session = CpuModel(one.SerializeToString())
            feeds = {session.inputs[0]: x}
            times.append(fastest_us(lambda run=session, feeds=feeds: run.run(feeds)))
        found.append(f"{times[0]:8.0f} {times[1]:8.0f} {times[0] / times[1]:5.1f}x")
    return "   ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64, help="rows of one inference")
    parser.add_argument("--only", default="", help="models whose name begins so")
    parser.add_argument("--cpu", action="store_true", help="only the times on the CPU")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    chosen = {name: trained(*how) for name, how in ZOO.items() if name.startswith(options.only)}
    if not options.cpu:
        heads = "  ".join(f"{precision} {device}".ljust(17) for precision, device in COLUMNS)
        print(f"{options.rows} rows".ljust(28), heads, sep="")
        for name, given in chosen.items():
            plain, halves = (Road(given, options.rows, halves=one) for one in (False, True))
            cells = (
                cell(halves if column[0] == "w8a16" else plain, given, *column)
                for column in COLUMNS
            )
            print(name.ljust(28), "  ".join(f"{one:17}" for one in cells), sep="", flush=True)
    print("CPU, 1,024 rows, us: operator, CPU form, ratio; whole model, CPU form, ratio")
    for name, given in chosen.items():
        if (times := cpu_times(given)) is not None:
            print(name.ljust(28), times, sep="", flush=True)


if __name__ == "__main__":
    main()
