from __future__ import annotations

import numpy as np
import pytest

from snapq.classical.lowering import calibration_rows, lower
from snapq.classical.lowering.graph import lines
from snapq.classical.model import Estimator
from snapq.classical.program import Array, Program
from snapq.classical.svm import Kernel, SupportVectors
from snapq.devices.profiles import DeviceProfile, find
from snapq.graph.float16.run import write_for_float16
from snapq.graph.prepare import prepare
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.quantize import Scheme, quantize

pytestmark = pytest.mark.npu

BATCH = 64
RANDOM = np.random.default_rng(0)
TRAINED_ON = (RANDOM.normal(size=(96, 12)) * 10.0 ** np.arange(-3, 3).repeat(2)).astype(np.float32)
ROWS = (RANDOM.normal(size=(BATCH, 12)) * 10.0 ** np.arange(-3, 3).repeat(2)).astype(np.float32)


def trained(kernel: Kernel) -> SupportVectors:
    """A least-squares SVM: one linear system in place of LIBSVM's optimization."""
    rows = TRAINED_ON.astype(np.float64)
    gamma = 1 / rows.var() / rows.shape[1]
    coef0 = 1.0 if kernel == "POLY" else 0.0
    target = np.sign(rows[:, -1] + rows[:, -2] * rows[:, -4] / 30 - 20)
    form = SupportVectors(
        *("svm", 12, kernel, gamma, coef0, 3.0),
        vectors=TRAINED_ON,
        coefficients=np.eye(96, dtype=np.float32),
        offsets=np.zeros(96, np.float32),
    )
    kernels = form.sums(TRAINED_ON)
    ridge = np.trace(kernels) / 96 * np.eye(96)
    weights = np.linalg.solve(kernels + ridge, target - target.mean())
    return SupportVectors(
        *("svm", 12, kernel, gamma, coef0, 3.0),
        vectors=TRAINED_ON,
        coefficients=weights[None].astype(np.float32),
        offsets=np.float32([target.mean()]),
    )


def simulated(form: SupportVectors, device: DeviceProfile, precision: str) -> Array:
    """What head, simulator and tail make of ROWS."""
    made = lower(Estimator(form, "rows", "sums"), BATCH, halves=precision == "w8a16")
    head = Program(("rows",), made.inputs, made.encode)
    tail = Program(("rows", *made.outputs), ("sums",), made.decode)
    model = prepare(made.model, {}).model
    if precision == "fp16":
        write_for_float16(model)
    else:
        rows = np.concatenate([TRAINED_ON, calibration_rows(form)])[-2 * BATCH :]
        samples = [head.run({"rows": part}) for part in np.split(rows, 2)]
        scheme = Scheme(
            activations=ActivationType.UINT16,
            architecture=device.architecture,
            float16="fp16" in device.precisions,
        )
        model = quantize(model, samples, scheme).model
    (found,) = Model(model, device).simulate([head.run({"rows": ROWS})])
    return tail.run({"rows": ROWS, **found})["sums"]


def sqnr(wanted: Array, found: Array) -> float:
    return float(10 * np.log10((wanted**2).sum() / ((wanted - found) ** 2).sum()))


# Least squares with a SIGMOID kernel has large weights that cancel.
@pytest.mark.parametrize(("kernel", "least"), [("RBF", 54), ("POLY", 54), ("SIGMOID", 46)])
def test_fp16_keeps_decision_values(kernel: Kernel, least: float) -> None:
    form = trained(kernel)
    wanted, found = form.sums(ROWS), simulated(form, find("qcs9075"), "fp16")
    assert sqnr(wanted, found) >= least


@pytest.mark.parametrize(
    ("kernel", "device", "least"), [("RBF", "qcs6490", 33), ("POLY", "qcs9075", 25)]
)
def test_w8a16_has_the_same_answers(kernel: Kernel, device: str, least: float) -> None:
    form = trained(kernel)
    wanted, found = form.sums(ROWS), simulated(form, find(device), "w8a16")
    assert sqnr(wanted, found) >= least
    assert np.mean((wanted > 0) == (found > 0)) >= 0.99


def test_rows_lie_as_a_picture_that_is_nearly_square() -> None:
    assert [lines(batch) for batch in (1, 7, 64, 128, 1000, 1024)] == [1, 1, 8, 8, 25, 32]


def test_fp16_keeps_decisions_of_kernels_that_are_all_near_1() -> None:
    random = np.random.default_rng(0)
    form = SupportVectors(
        *("svm", 12, "RBF", 1e-4, 0.0, 3.0),
        vectors=random.normal(size=(40, 12)).astype(np.float32),
        coefficients=1000 * np.sign(random.normal(size=(1, 40))).astype(np.float32),
        offsets=np.zeros(1, np.float32),
    )
    found = simulated(form, find("qcs9075"), "fp16")
    wanted = form.sums(ROWS)
    near = np.abs(ROWS).max(axis=1) < 3
    assert sqnr(wanted, found) >= 40
    assert near.sum() < BATCH
