"""`simulate`: samples through Qualcomm's NPU simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.shared import QuantizedModel, model_path, npu_source, refuse_existing
from snapq.errors import DataError, ModelError, SnapqError
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from snapq.api.calibration import GivenSamples
    from snapq.npu.model import Model


_COMPARED = 4
"""Samples on which the simulator is compared with the CPU."""


@public
def simulate(
    model: str | Path | QuantizedModel,
    device: str,
    samples: GivenSamples,
    *,
    outputs: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[dict[str, np.ndarray]]:
    """Runs a model on Qualcomm's NPU simulator, sample by sample.

    Args:
        model: path of an ONNX model: float, Q/DQ, or compiled (`model_ctx.onnx` and the like).
        device: device name.
        samples: `{input: array}` in the input's own shape and type, or an array each where the
            model has one input.
        outputs: inner tensors to cut at; what is in front of them is simulated.
        progress: progress reporter; nothing is shown where not given.

    Returns:
        For each sample, in order, an array for each output's name. The values are exact for the
        architecture. Where they are far from the CPU's, the progress reporter is told.

    Raises:
        DeviceError: the device is unknown, cannot run the model's precision, or is another one
            than the model was compiled for.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        DataError: a sample does not fit the model.
    """
    shown = progress or Silent()
    found, notes = _simulated(model, device, samples, shown, outputs)
    for note in notes:
        shown.say(note)
    return found


def _simulated(
    model: str | Path | QuantizedModel,
    device: str,
    samples: GivenSamples,
    progress: Progress,
    cut_at: Sequence[str],
) -> tuple[list[dict[str, np.ndarray]], tuple[str, ...]]:
    """The outputs, and what is to be known of them."""
    from snapq.api.calibration import as_sample, as_taken, refuse_one_sample
    from snapq.devices.profiles import find
    from snapq.graph import io
    from snapq.graph.foreign import explaining
    from snapq.graph.shapes import graph_inputs, input_specs
    from snapq.npu.binaries import check_soc
    from snapq.npu.model import Model

    refuse_one_sample(samples, "--samples")
    path = model_path(model)
    source, _ = npu_source(path, {}, cut_at)
    profile = find(device)
    if isinstance(source, Path):
        check_soc(source, profile)
    npu = Model(source, profile)
    kept: list[Mapping[str, np.ndarray]] = []

    specs = () if isinstance(source, Path) else input_specs(source)
    graph = io.load(source) if isinstance(source, Path) else source
    names = [str(value.name) for value in graph_inputs(graph)]

    def feeds() -> Iterator[Mapping[str, np.ndarray]]:
        for index, given in enumerate(samples):
            sample = as_taken(as_sample(given, names, index), specs)
            if len(kept) < _COMPARED:
                kept.append(sample)
            yield sample

    with explaining(path), progress.track("Simulate") as advance:
        outputs = list(npu.simulate(feeds(), progress=advance))
    if npu.compiled or not outputs:
        return outputs, ()
    return outputs, _against_cpu(npu, tuple(kept), outputs[: len(kept)], progress)


def _against_cpu(
    npu: Model,
    feeds: tuple[Mapping[str, np.ndarray], ...],
    outputs: Sequence[Mapping[str, np.ndarray]],
    progress: Progress,
) -> tuple[str, ...]:
    """What is wrong with the simulator's outputs beside those of the CPU."""
    from snapq.graph.behind import unsteady_outputs
    from snapq.quantization.agreement.compare import compare
    from snapq.quantization.agreement.locate import Bench, on_cpu
    from snapq.quantization.agreement.mend import mend
    from snapq.quantization.agreement.noise import with_noise
    from snapq.quantization.agreement.verdict import verdict

    float16, model = not npu.quantized, npu.model
    try:
        truth = None if float16 else _float_form(model, feeds)
        noisy = partial(with_noise, model, feeds, float16=float16)
        chosen = unsteady_outputs(model.graph)
        findings = compare(
            on_cpu(model, feeds), outputs, truth, float16=float16, noisy=noisy, chosen=chosen
        )
    except ModelError as error:
        return (f"The values are not compared with the CPU's: {error}",)
    located = None
    if any(one.finding.faulty for one in findings):
        bench = Bench(npu.device, feeds)
        found = mend(model, bench, truth, float16=float16, search_only=True, say=progress.say)
        located = found.left
    return verdict(npu.device.name, findings, located).notes


def _float_form(
    model: ir.Model, feeds: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, np.ndarray]] | None:
    """Outputs of a Q/DQ model without its Q and DQ; None where it has no such form."""
    from snapq.cpu import CpuModel
    from snapq.quantization.existing_qdq.strip import strip

    try:
        cpu = CpuModel(strip(model).model)
        return [cpu.run(feed) for feed in feeds]
    except SnapqError:
        return None


@public
def simulate_file(
    model: Path,
    device: str,
    inputs: Path,
    output: Path,
    *,
    cut_at: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[int, list[str], tuple[str, ...]]:
    """Runs the samples of an `.npz` on the simulator and writes the outputs to another.

    Returns:
        Number of samples, the names of the outputs, and what is to be known of the values.

    Raises:
        DataError: the arrays do not fit the model.
        SnapqError: as `simulate`.
    """
    refuse_existing(output, overwrite)
    samples = _read_samples(inputs, model)
    outputs, notes = _simulated(model, device, samples, progress or Silent(), cut_at)
    if not outputs:
        raise DataError("There is no sample in the file.", where=str(inputs))
    _write_outputs(output, outputs)
    return len(outputs), sorted(outputs[0]), notes


def _read_samples(inputs: Path, model: Path) -> Iterator[dict[str, np.ndarray]]:
    """Yields the samples of an `.npz`: arrays of the inputs' own shapes, or one axis more.

    Raises:
        DataError: the file cannot be read, or its arrays differ in their number of samples.
    """
    import numpy as np

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


def _write_outputs(path: Path, outputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Writes outputs, stacked over samples, as an `.npz`. Raises `StorageError`."""
    import numpy as np

    from snapq.bundle.write import write_arrays
    from snapq.storage import atomic_path

    arrays = {name: np.stack([sample[name] for sample in outputs]) for name in outputs[0]}
    with atomic_path(path) as temporary:
        write_arrays(temporary, arrays)
