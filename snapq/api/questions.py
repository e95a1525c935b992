"""Questions about one model: inspect, analyze, estimate, simulate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.progress import Progress, Silent
from snapq.records import AnalysisRecord, EstimateRecord
from snapq.storage import write_text

if TYPE_CHECKING:
    import numpy as np

    from snapq.api.inspection import Inspection
    from snapq.graph.shapes import InputShapes
    from snapq.npu.qnn.binary import BinaryInfo
from snapq.api.models import _calibration_source
from snapq.api.runs import load
from snapq.api.shared import QuantizedModel, model_path, refuse_existing


def inspect(
    model: str | Path,
    target: str,
    *,
    inputs: InputShapes | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Says which nodes of a model will run on the NPU, at which precision, and why others not.

    Args:
        model: path of a float ONNX model.
        target: device name.
        inputs: shape of each input; needed where the model's are dynamic.
        progress: who is told what goes on.

    Raises:
        ModelError: the model cannot be read or frozen.
        DeviceError: the device is unknown.
    """
    from snapq.api.inspection import inspect_model
    from snapq.devices.profiles import find

    return inspect_model(Path(model), find(target), inputs or {}, progress or Silent())


def inspect_compiled(file: str | Path) -> tuple[BinaryInfo, ...]:
    """Says what a compiled file was made for: QAIRT build, SoC, memory, inputs and outputs.

    Args:
        file: a context binary (`*_qnn.bin`), or a container of several (`.dlc`, multi-SoC `.bin`).

    Raises:
        QnnError: it is neither, or it is damaged.
        InstallError: Qualcomm's runtime is not installed.
        StorageError: it cannot be read.
    """
    from snapq.npu.qnn.binary import inspect_binary, inspect_container
    from snapq.npu.qnn.containers import is_container

    path = Path(file)
    return inspect_container(path) if is_container(path) else (inspect_binary(path),)


def analyze(
    model: str | Path,
    device: str,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    weights: str | None = None,
    activations: str | None = None,
    simulated: bool = False,
    samples: int = 8,
    tensors: bool = False,
    inputs: InputShapes | None = None,
    random_inputs: bool = False,
    page: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AnalysisRecord:
    """Says what quantizing each node alone costs at the model's outputs, and why.

    Args:
        model: path of a float ONNX model; or of a deploy.yaml, whose model, calibration data and
            precision are then taken.
        device: whose rules to obey, whose simulator to use, whose estimate to divide among nodes.
        calibration: samples as for `quantize`.
        weights: `int8` where not given, or another type.
        activations: `uint8` where not given, or another type.
        simulated: compute the outputs on the NPU simulator and not on this machine's CPU.
        samples: judge on so many of the calibration samples.
        tensors: judge every activation and weight alone too.
        inputs: shape of each input; needed where the model's are dynamic.
        random_inputs: calibrate on random inputs, to try things out.
        page: write an HTML page with drawing and tables there too.
        overwrite: whether `page` may exist.
        progress: who is told what goes on.

    Returns:
        Each node with its SQNR in dB when it alone is quantized, in the model's order; the worst
        ones with the cause. Where there is an estimate, each with its part of it.

    Raises:
        ConfigError: there is no calibration, an option is not known, or `page` exists.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled, or is quantized already.
        DeviceError, QnnError, InstallError: as the simulator, where that is asked for.
        StorageError: the page cannot be written.
    """
    from snapq.api.analysis import Asked, analyze_file
    from snapq.config import QuantizeConfig
    from snapq.devices.profiles import find
    from snapq.records import Where

    if page is not None:
        refuse_existing(Path(page), overwrite)
    asked = Asked(Where.SIMULATED if simulated else Where.HOST, samples, tensors)
    types = {"weights": weights, "activations": activations}
    given = {name: value for name, value in types.items() if value is not None}
    path, options, base = Path(model), QuantizeConfig.model_validate(given), None
    data: DataSource | Iterable[Mapping[str, np.ndarray]]
    if path.suffix in (".yaml", ".yml") and calibration is None:
        config = load(path)
        stages = (stage.options for stage in config.stages)
        named = next((one for one in stages if isinstance(one, QuantizeConfig)), options)
        options = named.model_copy(update={name: getattr(options, name) for name in given})
        path, base, inputs = config.model.path, config.folder, inputs or config.model.inputs
        data = config.data.calibration or _calibration_source(None, None, random_inputs)
    else:
        data = _calibration_source(calibration, None, random_inputs)
    told = progress or Silent()
    found = analyze_file(path, data, options, find(device), inputs or {}, asked, told, base)
    if page is not None:
        from snapq.report.analysis import render

        write_text(Path(page), render(found))
    return found


def estimate(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
) -> EstimateRecord:
    """Qualcomm's Performance Estimate of a model: Q/DQ at its precision, float at fp16.

    Args:
        model: path of an ONNX model, or what `quantize` returned.
        device: device name; where it has no estimate of its own, the nearest architecture's is
            given and named in `estimated_on`.
        inputs: shape of each input; needed where the model's are dynamic.

    Returns:
        The estimate; `accelerator_us` is its figure in microseconds.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        InstallError: onnxruntime-qnn is missing.
    """
    from snapq.api.single import estimate_file
    from snapq.devices.profiles import find

    return estimate_file(model_path(model), find(device), inputs or {})


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
        progress: who is told what goes on.

    Returns:
        `{output: array}` for each sample, in order. The values are exact for the architecture.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        DataError: a sample does not fit the model.
    """
    from snapq.api.single import simulate_samples
    from snapq.devices.profiles import find

    return simulate_samples(model_path(model), find(device), samples, progress or Silent())


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
    from snapq.api.single import read_samples, write_outputs

    refuse_existing(output, overwrite)
    outputs = simulate(model, device, read_samples(inputs, model), progress=progress)
    if not outputs:
        raise DataError("There is no sample in the file.", where=str(inputs))
    write_outputs(output, outputs)
    return len(outputs), sorted(outputs[0])
