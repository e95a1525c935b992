"""Work on one model outside a run: quantize, estimate, simulate."""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from snapq.config import DataSource, PrepareConfig, PruneConfig, QuantizeConfig
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.errors import DataError
from snapq.progress import Progress
from snapq.records import EstimateRecord
from snapq.stages.base import Context, Outcome, Source

if TYPE_CHECKING:
    from snapq.evaluation.samples import Dataset, Sample
    from snapq.graph.shapes import InputShapes
    from snapq.npu.qnn.options import CompileOptions


def stage_file(
    stage: Literal["quantize", "prune"],
    model: Path,
    output: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]] | None,
    options: QuantizeConfig | PruneConfig,
    targets: Sequence[str],
    shapes: InputShapes,
    progress: Progress,
) -> Outcome:
    """Runs the prepare stage and one more on one file, and writes `output`.

    Raises:
        SnapqError: as the two stages.
    """
    from snapq.graph import io
    from snapq.stages.artifact import MODEL

    devices = tuple(profiles.find(name) for name in targets) or (_strictest(),)
    with prepared(model, calibration, shapes, devices, progress) as (source, context):
        folder = source.folder.with_name(stage)
        folder.mkdir()
        run = importlib.import_module(f"snapq.stages.{stage}").run
        outcome: Outcome = run(source, options, context, folder)
        io.copy(folder / MODEL, output)
    return outcome


@contextmanager
def prepared(
    model: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]] | None,
    shapes: InputShapes,
    devices: Sequence[DeviceProfile],
    progress: Progress,
    base: Path | None = None,
) -> Iterator[tuple[Source, Context]]:
    """Runs the prepare stage on one file, and yields what it gives and what the next stage needs.

    Args:
        model: the float model.
        calibration: where the samples are, or the samples; None where the next stage needs none.
        shapes: of inputs.
        devices: what to prepare for.
        progress: who is told what goes on.
        base: the folder of relative paths; the current one where not given.

    Raises:
        SnapqError: as the stage, or the data does not fit.
    """
    from snapq.graph import io
    from snapq.graph.shapes import fix_inputs, input_specs
    from snapq.stages import prepare
    from snapq.stages.artifact import MODEL

    frozen = io.load(model)
    fix_inputs(frozen, shapes)
    specs = input_specs(frozen)
    data: Dataset | None = None
    if isinstance(calibration, DataSource):
        from snapq.evaluation.datasets import open_dataset

        data = open_dataset(calibration, specs, base=base or Path.cwd())
    elif calibration is not None:
        data = _Samples(calibration)
    with tempfile.TemporaryDirectory(prefix="snapq-") as name:
        folder = Path(name) / "prepare"
        folder.mkdir()
        given = Path(name) / MODEL if shapes else model
        if shapes:
            io.save(frozen, given)
        context = Context(devices=devices, calibration=data, given=given, progress=progress)
        prepare.write(frozen, PrepareConfig(), folder)
        yield Source(folder / MODEL, "float", folder), context


def export_file(
    model: Path, file_format: str, output: Path, float_model: Path | None = None
) -> tuple[int, tuple[str, ...]]:
    """Writes the encodings of a Q/DQ model, and its float form, for another tool.

    Returns:
        How many tensors the file lists, and the names of those that the format has no words for.

    Raises:
        ModelError: the model has no Q/DQ, or its float form is not known.
        StorageError: the file cannot be written.
    """
    from snapq.errors import ModelError
    from snapq.graph import io
    from snapq.quantization.exchange.files import write
    from snapq.quantization.existing_qdq.strip import is_quantized, strip

    loaded = io.load(model)
    if not is_quantized(loaded):
        raise ModelError(
            "The model is not quantized, so it has no encodings.",
            where=str(model),
            hint="Give a Q/DQ model, or the folder of a run that quantized one.",
        )
    stripped = strip(loaded)
    if float_model is not None:
        io.save(stripped.model, float_model)
    gone = write(output, stripped.encodings, stripped.model, file_format)
    return len(stripped.encodings) - len(gone), gone


def estimate_file(model: Path, device: DeviceProfile, shapes: InputShapes) -> EstimateRecord:
    """Estimates one file on one device.

    Raises:
        SnapqError: as `snapq.npu.qnn.estimate.estimate`.
    """
    from snapq.npu.qnn.estimate import estimate

    with _static(model, shapes) as (path, precision):
        return estimate(path, device, _options(precision, device), label=precision)


def simulate_samples(
    model: Path,
    device: DeviceProfile,
    samples: Iterable[Mapping[str, np.ndarray]],
    progress: Progress,
) -> list[dict[str, np.ndarray]]:
    """Runs samples through the simulator.

    Raises:
        SnapqError: as `snapq.npu.qnn.simulate.simulate`.
    """
    from snapq.npu.qnn.simulate import simulate

    with _static(model, {}) as (path, precision), progress.track("Simulate") as advance:
        return list(
            simulate(path, device, samples, options=_options(precision, device), progress=advance)
        )


def read_samples(inputs: Path, model: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yields the samples of an `.npz`: arrays of the inputs' own shapes, or one axis more.

    Raises:
        DataError: the file cannot be read, or its arrays differ in their number of samples.
    """
    from snapq.graph import io
    from snapq.graph.shapes import input_specs

    ranks = {spec.name: len(spec.shape) for spec in input_specs(io.load(model))}
    try:
        with np.load(inputs, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"This is not an .npz file: {error}.", where=str(inputs)) from error
    stacked = {n: a if a.ndim > ranks.get(n, a.ndim) else a[None] for n, a in arrays.items()}
    counts = {name: len(array) for name, array in stacked.items()}
    if len(set(counts.values())) > 1:
        raise DataError(
            f"The arrays hold different numbers of samples: {counts}.", where=str(inputs)
        )
    for index in range(next(iter(counts.values()), 0)):
        yield {name: array[index] for name, array in stacked.items()}


def write_outputs(path: Path, outputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Writes outputs, stacked over samples, as an `.npz`. Raises `StorageError`."""
    from snapq.bundle.write import write_arrays
    from snapq.storage import atomic_path

    arrays = {name: np.stack([sample[name] for sample in outputs]) for name in outputs[0]}
    with atomic_path(path) as temporary:
        write_arrays(temporary, arrays)


class _Samples:
    """Samples that the caller holds or makes, as a data set.

    What can be read but once, a generator, is put into files of a temporary folder, so that no more
    than one sample is in memory.
    """

    random = False
    description = "samples given in Python"

    def __init__(self, samples: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._samples = _Kept(samples) if isinstance(samples, Iterator) else samples
        sized = isinstance(self._samples, Sized)
        self._count = len(self._samples) if sized else sum(1 for _ in self._samples)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        from snapq.evaluation.samples import Sample

        for index, feeds in enumerate(self._samples):
            yield Sample(name=f"sample {index}", feeds=dict(feeds), frames={}, label=None)

    def fingerprint(self) -> str:
        """SHA-256 over all arrays."""
        digest = hashlib.sha256()
        for feeds in self._samples:
            for name, array in sorted(feeds.items()):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


class _Kept:
    """What an iterator gives, in files that go with this object."""

    def __init__(self, samples: Iterator[Mapping[str, np.ndarray]]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="snapq-")
        self._names: list[tuple[str, ...]] = []
        for feeds in samples:
            np.savez(self._file(len(self)), *map(np.asarray, feeds.values()))
            self._names.append(tuple(feeds))

    def _file(self, index: int) -> Path:
        return Path(self._folder.name) / f"{index}.npz"

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for index, names in enumerate(self._names):
            with np.load(self._file(index), allow_pickle=False) as file:
                yield {name: file[f"arr_{place}"] for place, name in enumerate(names)}


def _strictest() -> DeviceProfile:
    """A device of the oldest architecture: what obeys its rules runs on all."""
    return min(profiles.all_profiles(), key=lambda p: (p.architecture, p.name))


def _options(precision: str, device: DeviceProfile) -> CompileOptions:
    """Float nodes compute at fp16 where the device has it; a float model needs that."""
    from snapq.npu.qnn.options import CompileOptions

    return CompileOptions(fp16=precision == "fp16" or "fp16" in device.precisions)


@contextmanager
def _static(model: Path, shapes: InputShapes) -> Iterator[tuple[Path, str]]:
    """Yields the model with fixed shapes, as a file, and its precision: `fp16` or `Q/DQ`."""
    from snapq.graph import io
    from snapq.graph.shapes import freeze

    loaded = io.load(model)
    operators = {node.op_type for node in loaded.graph}
    if "EPContext" in operators:
        yield model, "compiled"
        return
    precision = "Q/DQ" if "DequantizeLinear" in operators else "fp16"
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(freeze(loaded, shapes), path)
        yield path, precision
