"""snapq beside ONNX Runtime's own quantizer and AIMET-ONNX: one table, one run, one machine.

    python benchmarks/peers/compare.py [MODEL …] [--precision w8a8 w8a16] [--tools TOOL …]

Every tool quantizes the same float model (shapes frozen) with the same samples, in a process and an
environment of its own, which is made from PyPI the first time (in ~/.cache/snapq-peers or
$SNAPQ_PEERS; AIMET brings PyTorch, some gigabytes). What comes out is compared in one way, on other
samples: SQNR against float on the simulator of the NPU (mean over samples, of the worst output, or
group of its channels of unlike range), Qualcomm's estimate of the accelerator's time, seconds and
peak memory of quantizing, and whether every node runs on the NPU. The others' models are repaired
first as users would (repaired.py); `--prepared` gives all tools the model that snapq's prepare
stage makes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from inputs import SUBJECTS, Feeds, Subject

from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.errors import SnapqError
from snapq.evaluation.channel_groups import GroupedOutputs
from snapq.evaluation.fidelity import Fidelity
from snapq.graph import io, prepare, shapes
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate

HERE = Path(__file__).resolve().parent
DEVICE = "qcs9075"


@dataclass(frozen=True)
class Tool:
    """A quantizer: its script, what its environment holds, and the method to ask for."""

    script: str
    requirements: str | None
    method: str


TOOLS = {
    "snapq fast": Tool("quantize_snapq.py", None, "fast"),
    "snapq balanced": Tool("quantize_snapq.py", None, "balanced"),
    "snapq best": Tool("quantize_snapq.py", None, "best"),
    "onnxruntime min-max": Tool("quantize_onnxruntime.py", "onnxruntime", "MinMax"),
    "onnxruntime preprocessed": Tool("quantize_onnxruntime.py", "onnxruntime", "MinMax+preprocess"),
    "onnxruntime percentile": Tool("quantize_onnxruntime.py", "onnxruntime", "Percentile"),
    "onnxruntime entropy": Tool("quantize_onnxruntime.py", "onnxruntime", "Entropy"),
    "aimet": Tool("quantize_aimet.py", "aimet", "post_training_tf_enhanced"),
}
DEFAULT = (
    "snapq fast",
    "snapq best",
    "onnxruntime min-max",
    "onnxruntime preprocessed",
    "aimet",
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    tool: str
    precision: str
    seconds: float = float("nan")
    peak_mb: float = float("nan")
    all_npu: bool = False
    sqnr: float = float("nan")
    estimate_us: float = float("nan")
    note: str = ""

    def text(self) -> str:
        """The line."""
        npu = "yes" if self.all_npu else "no"
        return (
            f"  {self.tool:26}{self.precision:7}{npu:>8}{self.sqnr:9.1f}{self.estimate_us:10.0f}"
            f"{self.seconds:9.1f}{self.peak_mb:9.0f}  {self.note}"
        ).rstrip()


HEAD = f"  {'tool':26}{'':7}{'all NPU':>8}{'SQNR dB':>9}{'est. us':>10}{'seconds':>9}{'peak MB':>9}"


def peers_folder() -> Path:
    """Where the environments are."""
    return Path(os.environ.get("SNAPQ_PEERS", Path.home() / ".cache" / "snapq-peers"))


def environment(name: str | None) -> Path:
    """The Python of a tool's environment, made where it is not there yet."""
    if name is None:
        return Path(sys.executable)
    folder = peers_folder() / name
    requirements, stamp = HERE / f"requirements-{name}.txt", folder / "made-from"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        print(f"  making the environment of {name} in {folder} …", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        python = folder / "bin" / "python"
        command = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
        subprocess.run(command, check=True)
        stamp.write_text(digest)
    return folder / "bin" / "python"


def quantize(
    tool: Tool, model: Path, samples: Path, output: Path, precision: str
) -> tuple[float, float, str]:
    """Runs a tool; seconds, peak memory in MB, and what it said where it failed."""
    arguments = [model, samples, output, precision, tool.method]
    command = [environment(tool.requirements), "-W", "ignore", HERE / tool.script, *arguments]
    started = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        log.seek(0)
        lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    failed = process.returncode != 0 or not output.is_file()
    return seconds, usage.ru_maxrss / 1024, lines[-1][:160] if failed and lines else ""


def judge(
    model: Path, feeds: list[Feeds], references: list[list[np.ndarray]]
) -> tuple[bool, float, float, str]:
    """Whether all nodes run on the NPU, SQNR in dB, estimate in microseconds, and a note."""
    device, options = find(DEVICE), CompileOptions(fp16=True)
    everything, note = True, ""
    try:
        outputs = list(simulate(model, device, feeds, workers=1, options=options))
    except SnapqError as error:
        everything, note = False, str(error)[:160]
        try:
            found = simulate(model, device, feeds, workers=1, options=options, allow_cpu=True)
            outputs = list(found)
        except SnapqError as second:
            return False, float("nan"), float("nan"), str(second)[:160]
    quality = _worst_group(references, outputs)
    us = float("nan")
    if everything:
        try:
            us = estimate(model, device, options, label="candidate").us
        except SnapqError as error:
            note = str(error)[:160]
    return everything, quality, us, note


def _worst_group(references: list[list[np.ndarray]], outputs: list[Feeds]) -> float:
    """SQNR in dB, mean over samples, of the output or group of channels where that is lowest."""
    fidelity = Fidelity()
    with GroupedOutputs(fidelity) as grouped:
        for reference, output in zip(references, outputs, strict=True):
            # Tools name outputs as they like; their order is the model's.
            truth = {str(i): value for i, value in enumerate(reference)}
            grouped.update(truth, {str(i): value for i, value in enumerate(output.values())})
    return min(one.sqnr_db for one in fidelity.results())


def compare(
    name: str,
    subject: Subject,
    tools: list[str],
    precisions: list[str],
    counts: tuple[int, int],
    *,
    prepared: bool,
) -> None:
    """Prints the table of one model."""
    calibration, evaluation = counts
    with tempfile.TemporaryDirectory(prefix="snapq-peers-") as folder:
        model, samples = Path(folder) / "model.onnx", Path(folder) / "samples.npz"
        frozen = shapes.freeze(io.load(subject.get()), subject.shapes)
        io.save(prepare.prepare(frozen, {}).model if prepared else frozen, model)
        every = list(subject.samples(model))
        held, judged = every[:calibration], every[-evaluation:]
        np.savez(samples, **{key: np.stack([feed[key] for feed in held]) for key in held[0]})
        session = CpuModel(model).session
        references = [session.run(None, feed) for feed in judged]
        print(f"{name}: {len(held)} calibration samples, {len(judged)} others, {DEVICE}")
        print(HEAD, flush=True)
        for precision in precisions:
            for label in tools:
                output = Path(folder) / "out" / f"{TOOLS[label].script}-{precision}-{label}.onnx"
                output.parent.mkdir(exist_ok=True)
                seconds, peak, note = quantize(TOOLS[label], model, samples, output, precision)
                row = Row(label, precision, seconds, peak, note=note)
                if output.is_file():
                    answer = judge(output, judged, references)
                    row = Row(label, precision, seconds, peak, *answer)
                print(row.text(), flush=True)


def main() -> None:
    """Prints a table for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(SUBJECTS), metavar="MODEL")
    parser.add_argument(
        "--precision", nargs="*", default=["w8a8", "w8a16"], choices=["w8a8", "w8a16", "w4a16"]
    )
    parser.add_argument("--tools", nargs="*", default=list(DEFAULT), choices=list(TOOLS))
    parser.add_argument("--calibration", type=int, default=32)
    parser.add_argument("--evaluation", type=int, default=8)
    parser.add_argument("--prepared", action="store_true")
    arguments = parser.parse_args()
    counts = (arguments.calibration, arguments.evaluation)
    for name in arguments.models:
        compare(
            name,
            SUBJECTS[name],
            arguments.tools,
            arguments.precision,
            counts,
            prepared=arguments.prepared,
        )


if __name__ == "__main__":
    main()
