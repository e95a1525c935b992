"""Time and memory of calibration, beside ONNX Runtime's own, in one run.

    python benchmarks/calibration.py [MODEL …] [--samples 64] [--memory-mb 2500] [--folder DIR]

A MODEL is the name of a development model (they come out of PyPI packages) or the path of an ONNX
file with fixed shapes. Every figure is from a process of its own; ONNX Runtime has an environment
of its own without PyTorch, which its quantizer would import. The tools take turns, and of several
repeats the least counts. Samples are noise, or the `.npz` files of a folder, made as they are asked
for. Printed for each model:

1. `min-max`: seconds of `preset: fast`, from a started Python with its imports done to the written
   file, beside ONNX Runtime's; processor seconds, which other work on the machine disturbs least;
   those of the whole process; and peak memory.
2. `percentile`, `entropy`: the same for 256 samples, and peak memory. ONNX Runtime keeps every
   activation of every sample: it gets as many samples as fit into `--memory-mb`, at most 256. Where
   these are fewer, its seconds are carried on to 256 by the line through these and half of them,
   which is said; its peak is left as measured, so that the ratio is an upper bound.
3. `memory`: peak at 64 and at 1,024 samples.
4. `observers`: how often the float model runs for one observer and for all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from compare import environment, peers_folder
from inputs import SUBJECTS
from quantize_timed import Samples

from snapq.graph import io, prepare, shapes
from snapq.quantization.calibration.observers.base import observer_names
from snapq.quantization.quantize import observe

SCRIPT = Path(__file__).resolve().parent / "peers" / "quantize_timed.py"
FIRST, SECOND, MANY = 64, 1024, 256
METHODS = {"percentile": "Percentile", "entropy": "Entropy"}
TOOLS = {"snapq": None, "onnxruntime": "onnxruntime"}


@dataclass(frozen=True)
class Cost:
    """What one process took.

    Attributes:
        inner: seconds of quantizing.
        whole: seconds from start to end.
        processor: processor seconds of quantizing.
        peak: largest resident memory in MB.
    """

    inner: float
    whole: float
    processor: float
    peak: float

    def least(self, other: Cost) -> Cost:
        """The smaller of each."""
        pairs = zip(self.figures, other.figures, strict=True)
        return Cost(*(min(pair) for pair in pairs))

    @property
    def figures(self) -> tuple[float, float, float, float]:
        """All four."""
        return self.inner, self.whole, self.processor, self.peak

    def over(self, other: Cost) -> tuple[float, float, float, float]:
        """Ratio of each to another's."""
        pairs = zip(self.figures, other.figures, strict=True)
        inner, whole, processor, peak = (mine / theirs for mine, theirs in pairs)
        return inner, whole, processor, peak


def surroundings() -> dict[str, str]:
    """Variables of a process, which keeps compiled modules, as pip makes them of a package."""
    kept = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(peers_folder() / "compiled")}


def measured(
    tool: str, model: Path, method: str, count: int, folder: Path | None, repeats: int = 1
) -> Cost:
    """Quantizes in processes of their own; the least of the repeats."""
    best: Cost | None = None
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="snapq-") as work:
            output = Path(work) / "quantized.onnx"
            command = [environment(TOOLS[tool]), "-W", "ignore", SCRIPT, tool, model, output]
            arguments = [*command, method, count, *([folder] if folder else [])]
            started = time.monotonic()
            with (Path(work) / "out").open("w+") as out, (Path(work) / "err").open("w+") as err:
                process = subprocess.Popen(
                    list(map(str, arguments)), stdout=out, stderr=err, env=surroundings()
                )
                process.wait()
                whole = time.monotonic() - started
                out.seek(0)
                err.seek(0)
                if process.returncode != 0:
                    lines = err.read().strip().splitlines() or ["it said nothing"]
                    raise RuntimeError(f"{tool} {method} failed: {lines[-1][:200]}")
                told = json.loads(out.read().splitlines()[-1])
            cost = Cost(told["wall"], whole, told["processor"], told["peak_mb"])
            best = cost.least(best) if best else cost
    assert best is not None
    return best


def in_turns(
    model: Path,
    methods: tuple[str, str],
    counts: tuple[int, int],
    folder: Path | None,
    repeats: int,
) -> tuple[Cost, Cost]:
    """Of snapq and ONNX Runtime, one after the other, the least of the repeats."""
    ours = theirs = None
    for _ in range(repeats):
        mine = measured("snapq", model, methods[0], counts[0], folder)
        other = measured("onnxruntime", model, methods[1], counts[1], folder)
        ours, theirs = mine.least(ours or mine), other.least(theirs or other)
    assert ours is not None
    assert theirs is not None
    return ours, theirs


def fitting(model: Path, limit_mb: float, folder: Path | None) -> int:
    """With how many samples ONNX Runtime keeps below a limit of memory, at most `MANY`.

    By the line through its peaks with two and with four samples.
    """
    method = METHODS["percentile"]
    low, high = (measured("onnxruntime", model, method, n, folder).peak for n in (2, 4))
    growth = max((high - low) / 2, 1e-3)
    return min(MANY, 2 + max(2, int((limit_mb - low) / growth)))


def carried(first: Cost, second: Cost, low: int, high: int) -> Cost:
    """What `MANY` samples would take, by the line through what two numbers of samples took."""
    share = (MANY - high) / (high - low)
    pairs = zip(first.figures, second.figures, strict=True)
    return Cost(*(b + share * (b - a) for a, b in pairs))


def timed(label: str, ours: Cost, theirs: Cost, count: int) -> str:
    """One line with the ratios of seconds."""
    inner, whole, processor, _ = ours.over(theirs)
    return (
        f"  {label:11}{count:5} samples  {ours.inner:7.2f} s, onnxruntime {theirs.inner:7.2f} s: "
        f"x{inner:.2f} (processor x{processor:.2f}, whole process x{whole:.2f})"
    )


def memory(ours: Cost, theirs: Cost) -> str:
    """Peaks and their ratio."""
    return f"{ours.peak:7.0f} MB, onnxruntime {theirs.peak:6.0f} MB: x{ours.peak / theirs.peak:.2f}"


def runs(model: Path, observers: tuple[str, ...], count: int, folder: Path | None) -> int:
    """How often the float model runs when all these observers are asked."""
    from snapq.quantization.calibration.observers.base import observer
    from snapq.quantization.encodings import QuantType

    done: list[int] = []
    prepared = prepare.prepare(io.load(model), {}).model
    for seen in observe(prepared, Samples(model, count, folder), done.append).values():
        for name in observers:
            observer(name).range(seen, QuantType.UINT8)
    return sum(done)


def table(model: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The lines of one model."""
    try:
        yield from beside_onnxruntime(model, arguments)
    except RuntimeError as error:
        yield f"  {error}"
    yield from alone(model, arguments.folder)


def beside_onnxruntime(model: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Time and memory of both tools."""
    folder, repeats = arguments.folder, arguments.repeats
    few = arguments.samples
    ours, other = in_turns(model, ("min-max", "MinMax"), (few, few), folder, repeats)
    yield timed("min-max", ours, other, few)
    yield f"  {'':11}{few:5} samples  {memory(ours, other)}"
    count = fitting(model, arguments.memory_mb, folder)
    slow = (repeats + 1) // 2
    for method, theirs in METHODS.items():
        ours, other = in_turns(model, (method, theirs), (MANY, count), folder, slow)
        peak, said = other.peak, ""
        if count < MANY:
            half = measured("onnxruntime", model, theirs, count // 2, folder, slow)
            other = carried(half, other, count // 2, count)
            said = f", carried on from {count}"
        yield timed(method, ours, other, MANY) + said
        yield (
            f"  {'':11}{MANY:5} samples  {memory(ours, replace(other, peak=peak))}"
            + (f" (of {count} samples)" if count < MANY else "")
        )


def alone(model: Path, folder: Path | None) -> Iterator[str]:
    """How snapq's memory and runs grow."""
    first, second = (measured("snapq", model, "percentile", n, folder) for n in (FIRST, SECOND))
    yield (
        f"  {'memory':11}{FIRST:5} samples  {first.peak:7.0f} MB, {SECOND} samples "
        f"{second.peak:7.0f} MB: x{second.peak / first.peak:.2f}"
    )
    names = observer_names()
    yield (
        f"  {'observers':11}{8:5} samples  {runs(model, names[:1], 8, folder)} runs of the model "
        f"for one, {runs(model, names, 8, folder)} for all {len(names)}"
    )


def main() -> None:
    """Prints the lines of each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(SUBJECTS), metavar="MODEL")
    parser.add_argument("--samples", type=int, default=64, help="for min-max")
    parser.add_argument("--memory-mb", type=float, default=2500, help="for ONNX Runtime")
    parser.add_argument("--folder", type=Path, help="samples, one .npz each")
    parser.add_argument(
        "--repeats", type=int, default=3, help="of min-max; of the others half as many"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="snapq-") as work:
        for name in arguments.models:
            model = Path(name)
            if name in SUBJECTS:
                subject, model = SUBJECTS[name], Path(work) / f"{name}.onnx"
                frozen = shapes.freeze(io.load(subject.get()), subject.shapes)
                # onnxruntime's `qnn_preprocess_model` fails on every model that has metadata.
                frozen.metadata_props.clear()
                io.save(frozen, model)
            print(f"{name}, seconds and MB of this machine, least of the repeats", flush=True)
            for line in table(model, arguments):
                print(line, flush=True)


if __name__ == "__main__":
    main()
