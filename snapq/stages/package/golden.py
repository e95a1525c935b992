"""Golden data: a few samples, and what each compiled model gives for them on the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.bundle import GOLDEN
from snapq.bundle.read import golden_file
from snapq.bundle.write import write_arrays
from snapq.cluster.current import current, each
from snapq.graph.boundary import Boundary, InputBoundary, parted
from snapq.npu.model import Model
from snapq.quantization.agreement.compare import REPEATS, Agreement
from snapq.quantization.agreement.verdict import Verdict
from snapq.stages.package.compile_device import CompiledDevice

Array = np.ndarray[Any, np.dtype[Any]]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Reloaded:
    """What a compiled model gave in a fresh process.

    Attributes:
        golden: folder of its outputs inside the bundle; None without samples.
        sentence: how it compares with the model that it was compiled from.
        notes: sentences for the reader.
        device: for which it was compiled.
        findings: how it compares with the same model on the CPU, group by group.
        verdict: what that means.
        worse: why the form that was compiled is not right; None where it is.
    """

    golden: str | None
    sentence: str
    notes: tuple[str, ...] = ()
    device: str = ""
    findings: tuple[Agreement, ...] = ()
    verdict: Verdict = field(default_factory=Verdict)
    worse: str | None = None


@dataclass(frozen=True)
class Alone:
    """The model of one sample, to compare with what samples give in calls of several.

    Attributes:
        model: with the package's boundary.
        samples: what the calls were gathered from, in order.
        batch: how many a call takes.
    """

    model: ir.Model
    samples: Sequence[Values]
    batch: int


@dataclass(frozen=True)
class Expected:
    """What compiled models are run with, and compared with.

    Attributes:
        model: the file that they were compiled from.
        feeds: samples as the package takes them.
        compare: compares their outputs, with those of the first sample once more behind them, with
            the CPU's; gives findings, and notes where there are none.
        worse: says what a rewritten form gives worse than the portable model, both simulated.
        alone: of calls of several samples, the same model of one.
    """

    model: Path
    feeds: Sequence[Values]
    compare: Callable[[Sequence[Values]], tuple[tuple[Agreement, ...], tuple[str, ...]]]
    worse: Callable[[Sequence[Values], Sequence[Values]], str | None]
    alone: Alone | None = None


def random_feeds(boundary: Boundary, count: int) -> Iterator[dict[str, Array]]:
    """Feeds where there are no samples: they still show whether a board computes the same."""
    generator = np.random.default_rng(0)
    for _ in range(count):
        yield {item.name: _random(item, generator) for item in boundary.inputs}


def write_feeds(folder: Path, feeds: Iterable[Values]) -> tuple[dict[str, Array], ...]:
    """Writes the samples into the bundle and returns them."""
    kept = tuple(dict(feed) for feed in feeds)
    for number, feed in enumerate(kept):
        write_arrays(folder / golden_file(f"{GOLDEN}/inputs", number), feed)
    return kept


def reload(
    expected: Expected, devices: Sequence[CompiledDevice], folder: Path, *, allow_cpu: bool
) -> Iterator[Reloaded]:
    """Runs each compiled model and the model it came from on the simulator, and compares.

    Outputs are kept once, in the bundle `folder`, for all devices that give the same. The first
    sample runs again, as there are graphs whose values change from run to run.

    Raises:
        QnnError: a compiled model does not load or run.
    """
    written: dict[str, Sequence[Values]] = {}
    feeds, model = expected.feeds, expected.model
    if not feeds:
        for entry in devices:
            said = "loaded in a fresh process; no samples to compare"
            yield Reloaded(None, said, device=entry.device.name)
        return

    def simulated(entry: CompiledDevice) -> tuple[list[Values], Iterable[Values]]:
        made = entry.compilation
        compiled, came_from = Model(made.files.model, entry.device), Model(model, entry.device)
        found: list[Values] = list(
            compiled.simulate((*feeds, *[feeds[0]] * REPEATS), allow_cpu=allow_cpu)
        )
        again = came_from.simulate(feeds, options=made.options, allow_cpu=allow_cpu)
        return found, list(again) if current() else again

    for entry, (found, again) in zip(devices, each(simulated, devices), strict=True):
        name = entry.device.name
        findings, told = expected.compare(found)
        del found[len(feeds) :]
        again, worse = list(again), None
        if entry.compilation.form.rewrites:
            worse = expected.worse(again, found)
        sentence = _compare(again, found)
        if expected.alone is not None:
            single = Model(expected.alone.model, entry.device).simulate(
                expected.alone.samples, options=entry.compilation.options, allow_cpu=allow_cpu
            )
            sentence += f"; {_compare_alone(single, again, expected.alone.batch)}"
        place = _place(found, entry, written)
        if place not in written:
            written[place] = found
            for number, outputs in enumerate(found):
                write_arrays(folder / golden_file(place, number), outputs)
        notes = (*_not_finite(found, entry), *told)
        yield Reloaded(place, sentence, notes, name, findings, worse=worse)


def _random(item: InputBoundary, generator: np.random.Generator) -> Array:
    dtype = np.dtype(item.dtype or item.model_dtype)
    if item.quantized and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, item.shape, dtype, endpoint=True)
    if dtype.kind == "f":
        return generator.standard_normal(item.shape).astype(dtype)
    # Indices, lengths and flags: 0 is valid for all of them.
    return np.zeros(item.shape, dtype)


def _compare(expected: Iterable[Values], found: Sequence[Values]) -> str:
    """Says how far the outputs are apart."""
    worst: dict[str, float] = {}
    for one, other in zip(expected, found, strict=True):
        for name, values in one.items():
            if not np.array_equal(values, other[name], equal_nan=_is_float(values)):
                gap = np.abs(values.astype(np.float64) - other[name].astype(np.float64)).max()
                worst[name] = max(worst.get(name, 0.0), float(gap))
    samples = f"{len(found)} sample{'s' if len(found) != 1 else ''}"
    if not worst:
        return f"bit-exact with the model it came from, {samples}, in a fresh process"
    name = max(worst, key=lambda key: worst[key])
    return (
        f"differs from the model it came from by up to {worst[name]:g} in '{name}', {samples}, in "
        "a fresh process"
    )


def _compare_alone(alone: Iterable[Values], found: Sequence[Values], batch: int) -> str:
    """Says how far samples are from what they give in a call of their own."""
    parts = [sample for call in found for sample in parted(call, batch)]
    pairs = list(zip(alone, parts, strict=False))
    off: dict[str, float] = {}
    for one, other in pairs:
        for name, values in one.items():
            gap = np.abs(values.astype(np.float64) - other[name].astype(np.float64))
            if gap.size and np.nanmax(gap) > 0:
                off[name] = max(off.get(name, 0.0), float(np.nanmax(gap)))
    if not off:
        return f"each sample of a call of {batch} is bit-exact with one alone"
    name = max(off, key=lambda key: off[key])
    return f"samples of a call of {batch} differ from one alone by up to {off[name]:g} in '{name}'"


def _place(
    found: Sequence[Values], entry: CompiledDevice, written: Mapping[str, Sequence[Values]]
) -> str:
    """The folder that has these outputs already, or a new one named after the architecture."""
    for name, kept in written.items():
        if all(_same(one, other) for one, other in zip(found, kept, strict=True)):
            return name
    name = f"{GOLDEN}/v{entry.device.architecture}"
    return f"{name}-{entry.device.name}" if name in written else name


def _same(one: Values, other: Values) -> bool:
    return all(np.array_equal(v, other[name], equal_nan=_is_float(v)) for name, v in one.items())


def _is_float(values: Array) -> bool:
    return bool(values.dtype.kind == "f")


def _not_finite(found: Sequence[Values], entry: CompiledDevice) -> Iterator[str]:
    for name in found[0]:
        bad = sum(
            _is_float(outputs[name]) and not np.isfinite(outputs[name]).all() for outputs in found
        )
        if bad:
            yield (
                f"{entry.device.name}: output '{name}' is not finite in {bad} of {len(found)} "
                "golden samples: 16-bit floating point overflows. Quantize the model."
            )
