"""Time and memory of the quantizer: an older build and this one side by side on the same files.

    python -m benchmarks.engine --base CHECKOUT [NETWORK …] [--jobs best balanced fast analyze]
    python -m benchmarks.engine --peer [NETWORK …]

A network is one of `models.py`, which says where its weights and inputs come from. Every job is a
process of its own, the builds take turns, and of several repeats the least counts. Printed for each
network and job: processor seconds (with those of the simulator and the compiler, and of starting
Python), seconds, and peak memory of the largest process, of both builds, and their ratios; whether
both wrote the same bytes, and else the SQNR of the worst group of channels on other samples than
those that calibrate, on the CPU or, with `--simulated`, on the NPU's simulator.

With `--peer`, `preset: fast` beside ONNX Runtime's recipe for QNN (preprocess, then quantize), 64
and 32 samples; of the larger networks 8. Seconds of quantizing alone, without imports.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

from models import LARGE, NETWORKS, ROOT, SMALL, samples  # noqa: E402

from snapq.cpu import CpuModel  # noqa: E402
from snapq.devices.profiles import find  # noqa: E402
from snapq.evaluation.channel_groups import GroupedOutputs  # noqa: E402
from snapq.evaluation.sqnr import SqnrMeter, sqnr  # noqa: E402
from snapq.graph import io  # noqa: E402
from snapq.npu.model import Model  # noqa: E402
from snapq.quantization.qdq.wide_bias import as_added  # noqa: E402

JOBS = ("fast", "balanced", "best", "analyze")
EVALUATED = 16
BUILDS = ("base", "this")


@dataclass(frozen=True)
class Cost:
    """What one process and its children took: seconds, processor seconds, peak MB."""

    wall: float
    processor: float
    peak: float

    def least(self, other: Cost | None) -> Cost:
        """The smaller of each."""
        if other is None:
            return self
        return Cost(
            min(self.wall, other.wall),
            min(self.processor, other.processor),
            min(self.peak, other.peak),
        )


@dataclass(frozen=True)
class Files:
    """A network on disk, with samples that calibrate and samples that judge."""

    name: str
    model: Path
    calibration: Path
    evaluation: tuple[dict[str, np.ndarray], ...]


def written(name: str, folder: Path, count: int) -> Files:
    """Writes a network and its samples."""
    model, calibration = folder / f"{name}.onnx", folder / f"{name}.npz"
    NETWORKS[name].write(model)
    found = samples(name, model, count + EVALUATED)
    first = found[:count]
    np.savez(calibration, **{key: np.stack([one[key] for one in first]) for key in first[0]})
    return Files(name, model, calibration, tuple(found[count:]))


def run(tree: Path, files: Files, job: str, output: Path) -> Cost:
    """Does one job with one build."""
    output.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", HERE / "quantize_once.py", files.model]
    arguments = map(str, [*command, files.calibration, job, output])
    started = monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            list(arguments), env={**os.environ, "PYTHONPATH": str(tree)}, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"{tree} failed: {lines[-1] if lines else 'it said nothing'}")
    return Cost(monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def worst_group(files: Files, quantized: Path, *, simulated: bool) -> float:
    """SQNR in dB of the worst group of channels of any output, energies summed over samples."""
    meter = SqnrMeter()
    model = io.load(quantized)
    if simulated:
        found = Model(model, find("qcs9075")).simulate(files.evaluation)
    else:
        found = map(CpuModel(as_added(model), optimize=False).run, files.evaluation)
    truths = map(CpuModel(files.model).run, files.evaluation)
    with GroupedOutputs(meter) as grouped:
        for truth, mine in zip(truths, found, strict=True):
            grouped.update(truth, mine)
    return sqnr(1.0, meter.worst())


def beside(files: Files, job: str, base: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The lines of one job."""
    outputs = {build: files.model.with_name(f"{build}.{job}.onnx") for build in BUILDS}
    least: dict[str, Cost] = {}
    for _ in range(arguments.repeats):
        for build, tree in zip(BUILDS, (base, ROOT), strict=True):
            least[build] = run(tree, files, job, outputs[build]).least(least.get(build))
    before, now = least["base"], least["this"]
    same = len({hashlib.sha256(path.read_bytes()).hexdigest() for path in outputs.values()}) == 1
    told = "same bytes" if same else "other results"
    if not same and job != "analyze" and files.evaluation:
        where = arguments.simulated
        levels = [worst_group(files, path, simulated=where) for path in outputs.values()]
        told = f"worst group {levels[0]:.1f} to {levels[1]:.1f} dB"
    yield (
        f"  {files.name:20}{job:10} processor {before.processor:7.1f} to {now.processor:7.1f} s: "
        f"x{now.processor / before.processor:.2f}  wall {before.wall:7.1f} to {now.wall:7.1f} s: "
        f"x{now.wall / before.wall:.2f}  peak {before.peak:6.0f} to {now.peak:6.0f} MB: "
        f"x{now.peak / before.peak:.2f}  {told}"
    )


def beside_onnxruntime(name: str, folder: Path, repeats: int) -> Iterator[str]:
    """The lines of `fast` and ONNX Runtime's recipe."""
    from calibration import in_turns, memory, timed

    files = written(name, folder, 8)
    feeds = folder / "feeds"
    feeds.mkdir(exist_ok=True)
    for old in feeds.glob("*.npz"):
        old.unlink()
    with np.load(files.calibration) as held:
        for index in range(8):
            np.savez(feeds / f"{index}.npz", **{key: held[key][index] for key in held.files})
    for count in (8,) if name in LARGE else (64, 32):
        pair = in_turns(files.model, ("min-max", "MinMax"), (count, count), feeds, repeats)
        yield f"  {name}"
        yield timed("min-max", *pair, count)
        yield f"  {'':11}{count:5} samples  {memory(*pair)}"
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--base", type=Path, help="checkout of the build to compare with")
    parser.add_argument("--peer", action="store_true", help="compare with ONNX Runtime")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--samples", type=int, default=32, help="that calibrate")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--simulated", action="store_true", help="judge on the simulator")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapq-") as work:
        for name in arguments.networks or (SMALL if arguments.base else (*SMALL, *LARGE)):
            if arguments.base is not None:
                files = written(name, Path(work), arguments.samples)
                for job in arguments.jobs:
                    for line in beside(files, job, arguments.base.resolve(), arguments):
                        print(line, flush=True)
            if arguments.peer:
                for line in beside_onnxruntime(name, Path(work), arguments.repeats):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
