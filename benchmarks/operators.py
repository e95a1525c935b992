"""Every one-operator model of ONNX's own tests goes all the way, where the NPU has the operator.

    python benchmarks/operators.py [--precision w8a8 w8a16 w4a16] [--out FILE] [NAME …]

Each model is prepared, quantized with the test's own inputs and run on the simulator. One line an
operator: how many of its models ran on the NPU as a whole, in part on the CPU, were refused with a
reason, or crashed, which is a defect; the last column names models whose Q/DQ form is right on the
CPU and wrong on the NPU. `--verbose` prints every model, `NAME` selects some of them.
Inputs that are parameters (a shape, axes) are fixed to the test's values, as the NPU wants them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile, find
from snapq.errors import QnnError, SnapqError
from snapq.evaluation.sqnr import sqnr
from snapq.graph import io, prepare
from snapq.npu.qnn import sessions, tasks
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.workers import Worker
from snapq.operators import TABLE
from snapq.precision import ActivationType, WeightType
from snapq.quantization.quantize import Scheme, quantize

NPU, CPU, REFUSED, CRASH = "npu", "partly cpu", "refused", "CRASH"
PRECISIONS = {
    "w8a8": (WeightType.INT8, ActivationType.UINT8),
    "w8a16": (WeightType.INT8, ActivationType.UINT16),
    "w4a16": (WeightType.INT4, ActivationType.UINT16),
}
LIMIT_S = 60.0
DIED = ("Qualcomm's runtime crashed", "Qualcomm's runtime ended", "Qualcomm's runtime did not")
"""How the error begins of a worker that crashed or did not end."""
_DATA = """
    Abs Add And Attention Cast Concat Div Equal Gather GatherElements GatherND Greater
    GreaterOrEqual Identity Less LessOrEqual Max Mean Min Mod Mul Neg Not OneHot Or Pow
    ScatterElements ScatterND Sign Sub Sum Where Xor
"""
DATA = frozenset(_DATA.split())
"""Operators whose whole-number inputs are data, not parameters."""
PARAMETERS = {
    "BatchNormalization": (1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (2,),
    "Range": (0, 1, 2),
    "Resize": (1, 2),
    "STFT": (2,),
    "Upsample": (1,),
}
"""Inputs of real numbers that are parameters: scales, a depth, a window."""
RANDOM = frozenset({"Bernoulli"})
"""Operators whose answers cannot be compared."""


@dataclass(frozen=True)
class Outcome:
    """What became of one model."""

    name: str
    operator: str
    precision: str
    result: str
    note: str = ""
    sqnr_db: float | None = None
    """Of the worst real output, simulated, against float."""
    differs: bool = False
    """Whether the NPU computes something else than the same Q/DQ model on the CPU."""


@dataclass(frozen=True)
class Case:
    """One model with one set of inputs and answers."""

    name: str
    operator: str
    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    answers: tuple[Any, ...]


def cases(names: list[str]) -> Iterator[Case]:
    """The models, in the order of their names."""
    from onnx.backend.test.case.node import collect_testcases

    known = {name for name, row in TABLE.items() if "" in row.npu.domains}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in sorted(found, key=lambda item: item.name):
        graph = case.model.graph
        if len(graph.node) != 1 or graph.node[0].op_type not in known:
            continue
        if graph.node[0].domain not in ("", "ai.onnx") or (names and case.name not in names):
            continue
        inputs, answers = case.data_sets[0]
        given = [value.name for value in graph.input]
        arrays = [item for item in inputs if item is not None]
        if len(arrays) != len(given) or not all(
            isinstance(a, np.ndarray | np.generic) for a in arrays
        ):
            continue
        feeds = {name: np.asarray(array) for name, array in zip(given, arrays, strict=True)}
        operator = graph.node[0].op_type
        yield Case(case.name, operator, case.model, feeds, tuple(answers))


def fixed(case: Case) -> tuple[ir.Model, dict[str, np.ndarray]]:
    """The model with its parameters as constants, and what is left to feed."""
    model = ir.serde.deserialize_model(case.model)
    feeds = dict(case.feeds)
    positions = {value: index for index, value in enumerate(model.graph.node(0).inputs)}
    named = PARAMETERS.get(case.operator, ())
    whole = case.operator not in DATA
    for value in tuple(model.graph.inputs):
        array, index = feeds[str(value.name)], positions[value]
        count = whole and index > 0 and (array.dtype.kind in "iu" or array.size == 0)
        if index in named or count:
            model.graph.inputs.remove(value)
            value.const_value = ir.tensor(feeds.pop(str(value.name)), name=value.name)
            model.graph.register_initializer(value)
    for value in model.graph.inputs:
        value.shape = ir.Shape(feeds[str(value.name)].shape)
    return model, feeds


class Simulators:
    """One worker process for many models; a new one where it died."""

    def __init__(self, device: DeviceProfile) -> None:
        self._device = device
        self._worker: Worker | None = None

    def run(self, path: Path, feeds: dict[str, np.ndarray], *, allow_cpu: bool) -> dict[str, Any]:
        """Outputs of one model."""
        request = sessions.request(
            path, self._device, CompileOptions(fp16=True), allow_cpu=allow_cpu
        )
        if self._worker is None:
            self._worker = Worker()
        try:
            self._worker.serve(tasks.simulator, request, timeout_s=LIMIT_S)
            outputs: dict[str, Any] = self._worker.request(feeds, timeout_s=LIMIT_S)
        except QnnError as error:
            if error.what.startswith(DIED):
                self.close()
            raise
        return outputs

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None


def attempt(case: Case, precision: str, simulators: Simulators, device: DeviceProfile) -> Outcome:
    """Takes one model all the way."""

    def outcome(
        result: str, note: str = "", db: float | None = None, differs: bool = False
    ) -> Outcome:
        return Outcome(case.name, case.operator, precision, result, note[:300], db, differs)

    scheme = Scheme(*PRECISIONS[precision], architecture=device.architecture)
    try:
        model, feeds = fixed(case)
        prepared = prepare.prepare(model, {}).model
        wanted = {str(value.name): np.dtype(value.dtype.numpy()) for value in prepared.graph.inputs}
        feeds = {name: feeds[name].astype(dtype) for name, dtype in wanted.items()}
        quantized = quantize(prepared, [feeds], scheme).model
        if not quantized.graph.inputs or not len(quantized.graph):
            return outcome(NPU, "folded to a constant")
        with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
            path = Path(folder) / "model.onnx"
            io.save(quantized, path)
            try:
                reference = CpuModel(prepared).session.run(None, feeds)
                same = CpuModel(quantized, optimize=False).session.run(None, feeds)
            except Exception as error:  # the class is ONNX Runtime's own
                return outcome(REFUSED, f"ONNX Runtime's CPU cannot run it: {error}")
            place = NPU
            note = ""
            try:
                found = simulators.run(path, feeds, allow_cpu=False)
            except QnnError as error:
                if error.what.startswith(DIED):
                    return outcome(CRASH, str(error))
                place, note = CPU, str(error)
                found = simulators.run(path, feeds, allow_cpu=True)
    except SnapqError as error:
        return outcome(CRASH if error.what.startswith(DIED) else REFUSED, str(error))
    except Exception as error:
        return outcome(CRASH, f"{type(error).__name__}: {error}")
    if case.operator in RANDOM:
        return outcome(place, note)
    worst, on_cpu = quality(reference, list(found.values())), quality(reference, same)
    differs = worst is not None and on_cpu is not None and worst < min(on_cpu, 40.0) - 15.0
    return outcome(place, note, worst, differs)


def quality(reference: list[np.ndarray], outputs: list[np.ndarray]) -> float | None:
    """SQNR in dB of the worst real output; None where there is none."""
    found = [
        sqnr(float(np.square(r).sum()), float(np.square(r - o).sum()))
        for r, o in zip(reference, outputs, strict=True)
        if r.dtype.kind == "f" and r.size and np.isfinite(r).all()
    ]
    return min(found, default=None)


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """One line an operator, and the sums."""
    kinds = (NPU, CPU, REFUSED, CRASH)
    heads = "".join(f"{kind:>12}" for kind in kinds)
    yield f"{'operator':24}{heads}{'worst dB':>10}  the NPU differs from the CPU"
    grouped: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.operator].append(outcome)
    for operator, found in sorted(grouped.items()):
        counts = Counter(outcome.result for outcome in found)
        worst = min((o.sqnr_db for o in found if o.sqnr_db is not None), default=None)
        cells = "".join(f"{counts[kind] or '':>12}" for kind in kinds)
        differing = ", ".join(outcome.name for outcome in found if outcome.differs)
        quality_cell = f"{worst:10.1f}" if worst is not None else " " * 10
        yield f"{operator:24}{cells}{quality_cell}  {differing}".rstrip()
    counts = Counter(outcome.result for outcome in outcomes)
    yield f"{'all':24}" + "".join(f"{counts[kind]:12}" for kind in kinds)


def main() -> None:
    """Prints the table; ends with 1 where a model crashed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--device", default="qcs9075")
    parser.add_argument("--precision", nargs="*", default=["w8a8"], choices=list(PRECISIONS))
    parser.add_argument("--out", type=Path, help="also write every outcome as JSON")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    device, started = find(arguments.device), time.monotonic()
    simulators, outcomes = Simulators(device), []
    for case in cases(arguments.names):
        for precision in arguments.precision:
            outcome = attempt(case, precision, simulators, device)
            outcomes.append(outcome)
            if arguments.verbose or outcome.result == CRASH:
                print(f"{outcome.result:11} {outcome.name} {precision}: {outcome.note}", flush=True)
    simulators.close()
    print("\n".join(table(outcomes)))
    print(f"{len(outcomes)} models, {device.name}, simulated, {time.monotonic() - started:.0f} s")
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    sys.exit(any(outcome.result == CRASH for outcome in outcomes))


if __name__ == "__main__":
    main()
