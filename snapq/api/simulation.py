"""`simulate`: samples through Qualcomm's NPU simulator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.shared import QuantizedModel, model_path, npu_source, refuse_existing
from snapq.errors import DataError
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np


def simulate(
    model: str | Path | QuantizedModel,
    device: str,
    samples: Iterable[Mapping[str, np.ndarray]],
    *,
    progress: Progress | None = None,
) -> list[dict[str, np.ndarray]]:
    """Runs a model on Qualcomm's NPU simulator, sample by sample.

    Args:
        model: path of an ONNX model (float, Q/DQ or a compiled `*_ctx.onnx`).
        device: device name.
        samples: `{input: array}` in the input's own shape and type.
        progress: progress reporter; nothing is shown where not given.

    Returns:
        `{output: array}` for each sample, in order. The values are exact for the architecture.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        DataError: a sample does not fit the model.
    """
    from snapq.devices.profiles import find
    from snapq.graph.foreign import explaining
    from snapq.npu.model import Model

    path = model_path(model)
    source, _ = npu_source(path, {})
    with explaining(path), (progress or Silent()).track("Simulate") as advance:
        return list(Model(source, find(device)).simulate(samples, progress=advance))


def simulate_file(
    model: Path,
    device: str,
    inputs: Path,
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[int, list[str]]:
    """Runs the samples of an `.npz` on the simulator and writes the outputs to another.

    Returns:
        Number of samples, and the names of the outputs.

    Raises:
        DataError: the arrays do not fit the model.
        SnapqError: as `simulate`.
    """
    refuse_existing(output, overwrite)
    outputs = simulate(model, device, _read_samples(inputs, model), progress=progress)
    if not outputs:
        raise DataError("There is no sample in the file.", where=str(inputs))
    _write_outputs(output, outputs)
    return len(outputs), sorted(outputs[0])


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
