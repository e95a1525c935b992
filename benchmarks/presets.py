"""What each preset leaves of every output of every development model, on samples of their own.

    python benchmarks/presets.py [MODEL …] [--precision w8a8 …] [--presets fast balanced best]
        [--calibration 16] [--evaluation 8] [--results FILE.jsonl] [--simulate]

Prints, for each model, the SQNR of each output and of each group of its channels of unlike range
(mean over samples that calibrated nothing, in dB), the estimate, and processor seconds. An output
that a preset leaves clearly worse than `fast` does is marked, and makes the command fail. With a
file of results a run goes on where the last one was stopped; what the presets tried is in it too.
The CPU computes the outputs; with `--simulate`, Qualcomm's simulator.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from inputs import SUBJECTS, Feeds, Subject

import snapq
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.channel_groups import GroupedOutputs
from snapq.evaluation.fidelity import Fidelity
from snapq.graph import io, shapes
from snapq.npu.qnn.estimate import estimate
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.simulate import simulate

DEVICE = "qcs9075"
PRECISIONS = {
    f"w{bits}{name}": (weights, activations)
    for bits, weights in ((8, "int8"), (4, "int4"))
    for name, activations in (("a8", "uint8"), ("a16", "uint16"))
}
CLEARLY = 0.5
"""Decibels below `fast` that are clearly worse; above 60 dB nothing is."""
ENOUGH = 60.0


@dataclass(frozen=True)
class Result:
    """One model, quantized in one way.

    Attributes:
        key: model, precision, preset, sample counts, and what computed the outputs.
        sqnr: dB of each output and each group of its channels.
        us: estimated; None where it cannot be.
        seconds: of processors, for quantizing.
        notes: of the quantization.
    """

    key: tuple[str, ...]
    sqnr: Mapping[str, float]
    us: float | None
    seconds: float
    notes: Sequence[str]


def measured(
    key: tuple[str, ...], subject: Subject, counts: tuple[int, int], *, simulated: bool
) -> Result:
    """Quantizes and judges. Raises `SnapqError` where that fails."""
    _, precision, preset, *_ = key
    weights, activations = PRECISIONS[precision]
    with tempfile.TemporaryDirectory(prefix="snapq-presets-") as folder:
        model, output = Path(folder) / "model.onnx", Path(folder) / "quantized.onnx"
        io.save(shapes.freeze(io.load(subject.get()), subject.shapes), model)
        every = list(subject.samples(model))
        held, judged = every[: counts[0]], every[-counts[1] :]
        started = time.process_time()
        made = snapq.quantize(
            model, held, weights=weights, activations=activations, preset=preset,
            devices=[DEVICE], output=output,
        )  # fmt: skip
        seconds = time.process_time() - started
        truth = CpuModel(model)
        found = _outputs(output, judged, simulated=simulated)
        sqnr = _by_group(map(truth.run, judged), found)
        try:
            us = estimate(output, find(DEVICE), CompileOptions(fp16=True), label=precision).us
        except snapq.SnapqError:
            us = None
    return Result(key, sqnr, us, seconds, tuple(map(str, made.notes)))


def _outputs(model: Path, feeds: Sequence[Feeds], *, simulated: bool) -> Iterator[Feeds]:
    if simulated:
        return iter(simulate(model, find(DEVICE), feeds, workers=1, allow_cpu=True))
    return map(CpuModel(model, optimize=False).run, feeds)


def _by_group(truth: Iterator[Feeds], found: Iterator[Feeds]) -> dict[str, float]:
    """Mean SQNR of each output and group of its channels, in dB."""
    fidelity = Fidelity()
    with GroupedOutputs(fidelity) as grouped:
        for right, own in zip(truth, found, strict=True):
            grouped.update(right, own)
    return {one.name: one.sqnr_db for one in fidelity.results()}


def _known(path: Path | None) -> dict[tuple[str, ...], Result]:
    """Results of an earlier run."""
    if path is None or not path.is_file():
        return {}
    lines = map(json.loads, path.read_text().splitlines())
    found = (Result(**{**line, "key": tuple(line["key"])}) for line in lines)
    return {one.key: one for one in found}


def _lines(result: Result, fast: Result | None) -> Iterator[str]:
    """The lines of the table, those of spoilt outputs marked."""
    model, precision, preset, *_ = result.key
    us = "?" if result.us is None else f"{result.us:,.0f}"
    yield f"{model:20}{precision:7}{preset:9}{us:>8} us estimated {result.seconds:8.0f} s"
    for name, value in result.sqnr.items():
        mark = "  worse than by fast" if name in spoilt(result, fast) else ""
        yield f"    {value:7.1f} dB  {name}{mark}"


def spoilt(result: Result, fast: Result | None) -> list[str]:
    """Outputs, and groups of their channels, that are clearly worse than by `fast`."""
    before = fast.sqnr if fast is not None else {}
    return [
        name
        for name, value in result.sqnr.items()
        if name in before and value < min(before[name] - CLEARLY, ENOUGH)
    ]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(SUBJECTS), metavar="MODEL")
    parser.add_argument("--precision", nargs="*", default=["w8a8"], choices=list(PRECISIONS))
    parser.add_argument("--presets", nargs="*", default=["fast", "balanced", "best"])
    parser.add_argument("--calibration", type=int, default=16)
    parser.add_argument("--evaluation", type=int, default=8)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--simulate", action="store_true")
    asked = parser.parse_args()
    counts, known, worse = (asked.calibration, asked.evaluation), _known(asked.results), 0
    end = (*map(str, counts), "simulated" if asked.simulate else "cpu")
    for name, precision, preset in product(asked.models, asked.precision, asked.presets):
        key = (name, precision, preset, *end)
        if key not in known:
            try:
                found = measured(key, SUBJECTS[name], counts, simulated=asked.simulate)
            except snapq.SnapqError as error:
                print(f"{name:20}{precision:7}{preset:9} {error}", flush=True)
                worse += 1
                continue
            known[key] = found
            if asked.results is not None:
                with asked.results.open("a") as file:
                    file.write(f"{json.dumps(asdict(found))}\n")
        fast = known.get((name, precision, "fast", *end))
        print("\n".join(_lines(known[key], fast)), flush=True)
        worse += len(spoilt(known[key], fast))
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
