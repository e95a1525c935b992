from __future__ import annotations

import numpy as np
import onnx
import pytest

from snapq.classical.lowering import lower
from snapq.classical.model import Estimator
from snapq.classical.program import Program, Step
from snapq.classical.writing import program_to_onnx
from snapq.cpu import CpuModel
from tests.classical.lowering.drawn import KERNELS
from tests.classical.lowering.test_lower import machine

ODD = np.zeros((6, 4), np.float32)
ODD[0, 1], ODD[1, 2], ODD[2, 0], ODD[3], ODD[4, 3] = np.nan, np.inf, -np.inf, 1e6, 3e18
NEAR = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("rows", [NEAR, ODD], ids=["near", "odd"])
def test_head_and_tail_of_an_svm_compute_the_same_in_onnx(kernel: str, rows: np.ndarray) -> None:
    made = lower(Estimator(machine(kernel), "rows", "sums"), len(rows))
    head = Program(("rows",), made.inputs, made.encode)
    tail = Program(("rows", *made.outputs), ("sums",), made.decode)
    given = {"rows": rows}
    encoded = head.run(given)
    passed = {**given, **CpuModel(made.model).run(encoded)}
    for program, feeds in ((head, given), (tail, passed)):
        written = program_to_onnx(program, {name: array[:1] for name, array in feeds.items()})
        onnx.checker.check_model(written, full_check=True)
        found = CpuModel(written.SerializeToString()).run(feeds)
        for name, wanted in program.run(feeds).items():
            np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-5)


def test_probabilities_of_pairs_are_coupled_alike() -> None:
    random = np.random.default_rng(0)
    pairs = random.normal(size=(40, 10)).astype(np.float32)
    pairs[0] = np.nan
    curves = {"prob_a": -random.uniform(0.5, 2, 10), "prob_b": random.normal(size=10) / 4}
    arrays = {name: values.astype(np.float32) for name, values in curves.items()}
    step = Step("couple_pairs", ("pairs",), ("classes",), {"classes": 5}, arrays)
    program = Program(("pairs",), ("classes",), (step,))
    written = program_to_onnx(program, {"pairs": pairs})
    found = CpuModel(written.SerializeToString()).run({"pairs": pairs})["classes"]
    np.testing.assert_allclose(found, program.run({"pairs": pairs})["classes"], atol=2e-4)
