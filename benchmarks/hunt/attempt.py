"""Takes graphs all the way: prepared, quantized, computed by float, CPU and NPU, and judged.

Several graphs go side by side in one model, as that takes a fraction of the time. Where the model
fails as a whole it is halved, and what disagrees is tried again alone, so that each graph has an
answer of its own.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import traceback
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from benchmarks.hunt import schemes
from benchmarks.hunt.judge import ALTERED_DB, LOW_DB, Outputs, Verdict, judge
from benchmarks.hunt.operators import EMITTERS
from benchmarks.hunt.recipe import Builder, Recipe, build_into, finish, samples
from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError, SnapqError
from snapq.graph import io, prepare
from snapq.npu.qnn import sessions, tasks
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.workers import Worker
from snapq.quantization.agreement.compare import compare
from snapq.quantization.agreement.locate import on_cpu
from snapq.quantization.agreement.noise import with_noise

SAMPLES = 2
LIMIT_S = 40.0
"""For one answer of Qualcomm's runtime, which takes a fraction of a second."""
OURS_LIMIT_S = 120
"""For snapq's own part."""
_CRASHED = ("Qualcomm's runtime crashed", "Qualcomm's runtime ended")
_HUNG = "Qualcomm's runtime gave no answer"
_MODELS_A_WORKER = 300
"""Then it is replaced, as Qualcomm's library keeps some memory of each."""

Array = np.ndarray[Any, np.dtype[Any]]


class Result(StrEnum):
    """What became of a graph."""

    RIGHT = "right"
    DISAGREES = "disagrees"
    """The NPU is wrong, alone too, beyond what rounding explains."""
    TOLD = "told"
    """The same, and a run of snapq finds it: it writes the node otherwise, or fails its gate."""
    ALARM = "alarm"
    """The NPU is right, or off by what rounding explains, and a run of snapq says it is wrong."""
    BESIDE = "beside"
    """The NPU is wrong where the graph stands beside others, and right where it stands alone."""
    CHANGES = "changes"
    """The NPU gives other values for the same input."""
    ROUNDING = "rounding"
    """The NPU is worse, but so is the CPU where each result is off by some codes."""
    LOW = "low"
    """The CPU, computing the Q/DQ model, is far from float too."""
    ALTERED = "altered"
    """The prepared float model is not the given one."""
    REFUSED = "refused"
    CRASH = "crash"
    HANG = "hang"
    INTERNAL = "internal"
    """snapq failed with something that is no `SnapqError`."""


@dataclass(frozen=True)
class Outcome:
    """What became of one graph, and the figures of its outputs."""

    result: Result
    verdicts: tuple[Verdict, ...] = ()
    note: str = ""

    @property
    def worst(self) -> Verdict | None:
        """The output with the widest gap."""
        return max(self.verdicts, key=lambda one: one.gap, default=None)


@dataclass(frozen=True)
class Trial:
    """Recipes as one model, and what the CPU makes of it.

    Attributes:
        feeds: the samples.
        truth: outputs of the float model as given.
        altered: outputs that the prepared float model has otherwise.
        model: what goes to the NPU.
        cpu: outputs of that model on the CPU.
    """

    feeds: list[dict[str, Array]]
    truth: list[Outputs]
    altered: frozenset[str]
    model: ir.Model
    cpu: list[Outputs]

    @staticmethod
    def of(recipes: Sequence[Recipe], scheme: str, device: DeviceProfile) -> Trial:
        """Builds, prepares and quantizes. Raises what that raises."""
        builder = Builder()
        feeds: list[dict[str, Array]] = [{} for _ in range(SAMPLES)]
        for index, recipe in enumerate(recipes):
            builder.prefix = f"g{index}_"
            build_into(builder, recipe, EMITTERS)
            for feed, more in zip(feeds, samples(recipe, builder.prefix, SAMPLES), strict=True):
                feed.update(more)
        given = ir.serde.deserialize_model(finish(builder))
        prepared = prepare.prepare(given, {}).model
        reference, same = CpuModel(given, optimize=False), CpuModel(prepared, optimize=False)
        truth: list[Outputs] = [reference.run(feed) for feed in feeds]
        verdicts = judge(truth, truth, [same.run(feed) for feed in feeds])
        altered = frozenset(one.output for one in verdicts if one.npu_db < ALTERED_DB)
        model = schemes.quantized(prepared, feeds, scheme, device)
        cpu_model = schemes.on_cpu(model, scheme)
        return Trial(feeds, truth, altered, model, [cpu_model.run(feed) for feed in feeds])


@dataclass
class Hunter:
    """One worker process for Qualcomm's runtime, kept alive from model to model."""

    device: DeviceProfile
    scheme: str
    _worker: Worker | None = None
    _served: int = field(default=0)

    def close(self) -> None:
        """Ends the worker."""
        if self._worker is not None:
            self._worker.close()
        self._worker, self._served = None, 0

    def attempt(self, recipes: Sequence[Recipe]) -> list[Outcome]:
        """What becomes of each."""
        try:
            found = self._together(recipes)
        except Exception as error:
            if len(recipes) > 1:
                half = len(recipes) // 2
                return self.attempt(recipes[:half]) + self.attempt(recipes[half:])
            return [_failed(error)]
        if len(recipes) == 1:
            return found
        return [
            self._again(recipe, outcome)
            if outcome.result in (Result.DISAGREES, Result.CHANGES, Result.ALARM)
            else outcome
            for recipe, outcome in zip(recipes, found, strict=True)
        ]

    def _again(self, recipe: Recipe, beside: Outcome) -> Outcome:
        (alone,) = self.attempt([recipe])
        if alone.result is Result.RIGHT and beside.result is not Result.ALARM:
            note = "It changes from run to run." if beside.result is Result.CHANGES else ""
            return Outcome(Result.BESIDE, beside.verdicts, note)
        return alone

    def _together(self, recipes: Sequence[Recipe]) -> list[Outcome]:
        """Judges them in one model. Raises what the way there raises."""
        with _time_limit():
            trial = Trial.of(recipes, self.scheme, self.device)
        *npu, again = self._simulate(trial.model, [*trial.feeds, trial.feeds[0]])
        verdicts = judge(trial.truth, trial.cpu, npu)
        found = [self._outcome(verdicts, f"g{i}_", trial.altered) for i in range(len(recipes))]
        for name, values in again.items():
            if not np.array_equal(values, npu[0][name], equal_nan=True):
                index = int(name[1 : name.index("_")])
                found[index] = replace(found[index], result=Result.CHANGES)
        if len(recipes) == 1:
            return [self._explained(trial, npu, found[0])]
        for name in self._told(trial, npu, doubts=False):
            index = int(name[1 : name.index("_")])
            if found[index].result is Result.RIGHT:
                found[index] = replace(found[index], result=Result.ALARM)
        return found

    def _outcome(
        self, verdicts: Sequence[Verdict], prefix: str, altered: Collection[str]
    ) -> Outcome:
        mine = tuple(one for one in verdicts if one.output.startswith(prefix))
        if any(one.output in altered for one in mine):
            return Outcome(Result.ALTERED, mine)
        if any(one.disagrees for one in mine):
            return Outcome(Result.DISAGREES, mine)
        if any(one.cpu_db < LOW_DB.get(self.scheme, -np.inf) for one in mine):
            return Outcome(Result.LOW, mine)
        return Outcome(Result.RIGHT, mine)

    def _told(self, trial: Trial, npu: Sequence[Outputs], *, doubts: bool) -> dict[str, str]:
        """What a run of snapq says of outputs, by their names.

        Args:
            trial: what was built.
            npu: what the NPU gives of it.
            doubts: whether noise decides where chance may explain it, as it does in a run.
        """
        fp16 = self.scheme == "fp16"
        cpu = on_cpu(trial.model, trial.feeds) if fp16 else trial.cpu
        noisy = partial(with_noise, trial.model, trial.feeds, float16=fp16) if doubts else None
        reference = None if fp16 else trial.truth
        findings = compare(cpu, npu, reference, float16=fp16, noisy=noisy)
        return {one.output: str(one) for one in findings if one.finding.faulty}

    def _explained(self, trial: Trial, npu: Sequence[Outputs], outcome: Outcome) -> Outcome:
        """Whether the CPU with noise disagrees alike, and whether a run of snapq tells of it."""
        if outcome.result is Result.DISAGREES:
            lowest = {one.output: one.cpu_db for one in outcome.verdicts}
            for run in with_noise(trial.model, trial.feeds, float16=self.scheme == "fp16"):
                for one in judge(trial.truth, run, trial.truth):
                    lowest[one.output] = min(lowest[one.output], one.cpu_db)
            against = [replace(one, cpu_db=lowest[one.output]) for one in outcome.verdicts]
            if not any(one.disagrees for one in against):
                outcome = replace(outcome, result=Result.ROUNDING)
        told = "; ".join(self._told(trial, npu, doubts=True).values())
        if not told:
            return outcome
        becomes = {
            Result.DISAGREES: Result.TOLD,
            Result.RIGHT: Result.ALARM,
            Result.ROUNDING: Result.ALARM,
        }
        return replace(outcome, result=becomes.get(outcome.result, outcome.result), note=told)

    def _simulate(
        self, model: ir.Model, feeds: Sequence[dict[str, Array]]
    ) -> list[dict[str, Array]]:
        fp16 = "fp16" in self.device.precisions
        with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
            path = Path(folder) / "model.onnx"
            io.save(model, path)
            request = sessions.request(path, self.device, CompileOptions(fp16=fp16))
            if self._served >= _MODELS_A_WORKER:
                self.close()
            self._worker = self._worker or Worker()
            self._served += 1
            try:
                self._worker.serve(tasks.simulator, request, timeout_s=LIMIT_S)
                return [self._worker.request(feed, timeout_s=LIMIT_S) for feed in feeds]
            except QnnError as error:
                if error.what.startswith((*_CRASHED, _HUNG)):
                    self.close()
                raise
            except BaseException:
                self.close()  # an answer may be on its way still
                raise


def _failed(error: Exception) -> Outcome:
    """The outcome of one graph that did not get all the way."""
    if isinstance(error, SnapqError):
        what = error.what
        if what.startswith(_HUNG):
            return Outcome(Result.HANG, note=what[:300])
        if what.startswith(_CRASHED):
            return Outcome(Result.CRASH, note=what[:300])
        return Outcome(Result.REFUSED, note=str(error)[:400])
    trace = "".join(traceback.format_exception(error)[-6:])
    return Outcome(Result.INTERNAL, note=trace[-1500:])


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raises `TimeoutError` where snapq's own part does not end."""

    def ring(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"snapq's own part took more than {OURS_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(OURS_LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
