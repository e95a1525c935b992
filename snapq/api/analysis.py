"""`snapq analyze`: what quantizing each node, or each tensor, alone costs at the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.configuration import load
from snapq.api.shared import refuse_existing
from snapq.config import DataSource, QuantizeConfig
from snapq.errors import DataError, SnapqError
from snapq.npu.model import Model
from snapq.precision import precision_name
from snapq.progress import Progress, Silent
from snapq.records import AnalysisRecord, EstimateRecord, Origin
from snapq.stages.base import Context, Input, Reads
from snapq.stages.quantize.job import granularity
from snapq.stages.quantize.scoring import run_on_cpu, runner, sensitivity_records
from snapq.storage import write_text

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.shapes import InputShapes
    from snapq.quantization.analysis.sensitivity import Analysis, Sensitivity

EXPLAINED = 10
"""How many of the worst nodes are looked at tensor by tensor."""


@dataclass(frozen=True)
class _Options:
    """What an analysis is to find out.

    Attributes:
        where: `host` or `simulated`: who computes the outputs.
        samples: how many calibration samples outputs are compared on.
        tensors: whether every tensor is quantized alone too.
    """

    where: Origin = Origin.HOST
    samples: int = 8
    tensors: bool = False


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
        samples: how many calibration samples outputs are compared on.
        tensors: also quantize every activation and weight alone.
        inputs: shape of each input; needed where the model's are dynamic.
        random_inputs: calibrate on random inputs, for a trial.
        page: where to write an HTML page with plot and tables too.
        overwrite: whether `page` may exist.
        progress: progress reporter; nothing is shown where not given.

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
    from snapq.api.calibration import calibration_source
    from snapq.config import QuantizeConfig
    from snapq.devices.profiles import find

    if page is not None:
        refuse_existing(Path(page), overwrite)
    wanted = _Options(Origin.SIMULATED if simulated else Origin.HOST, samples, tensors)
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
        data = config.data.calibration or calibration_source(None, None, random_inputs)
    else:
        data = calibration_source(calibration, None, random_inputs)
    reporter = progress or Silent()
    found = _analyze_file(path, data, options, find(device), inputs or {}, wanted, reporter, base)
    if page is not None:
        from snapq.report.analysis import render

        write_text(Path(page), render(found))
    return found


def _analyze_file(
    model: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]],
    options: QuantizeConfig,
    device: DeviceProfile,
    shapes: InputShapes,
    wanted: _Options,
    progress: Progress,
    base: Path | None = None,
) -> AnalysisRecord:
    """Prepares one file and quantizes each of its nodes alone.

    Raises:
        ConfigError: the model is quantized already.
        DataError: there is no calibration sample, or one does not fit.
        SnapqError: as the prepare stage and the simulator.
    """
    from snapq.api.one_stage import prepared
    from snapq.graph import io

    with prepared(model, calibration, shapes, (device,), base) as values:
        source = values[Input.PREVIOUS]
        context = Context(Reads((Input.DEVICES, Input.CALIBRATION)), values, progress=progress)
        return _analyze_model(io.load(source.model), model.name, options, context, wanted)


def _analyze_model(
    model: ir.Model, name: str, options: QuantizeConfig, context: Context, wanted: _Options
) -> AnalysisRecord:
    """Quantizes each node alone, and the tensors of the worst ones (or all of them) alone.

    Args:
        model: the prepared float model.
        name: how the model is called.
        options: the precision to analyze.
        context: its first device is the one to analyze for.
        wanted: what to find out.

    Raises:
        DataError: there is no calibration sample, or one does not fit.
        SnapqError: as the simulator, where it is asked for.
    """
    from snapq.evaluation.sqnr import sqnr
    from snapq.quantization.analysis.sensitivity import Analysis
    from snapq.quantization.precision_rules.overrides import resolve
    from snapq.quantization.quantize import Scheme, observe

    data, device, progress = context.calibration, context.devices[0], context.progress
    if data is None:
        raise DataError("There is no calibration sample.", where="data.calibration")
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        granularity=granularity(options),
        architecture=min(one.architecture for one in context.devices),
        per_node=resolve(options.overrides, model),
    )
    with progress.track("Calibrate", len(data)) as advance:
        known = observe(model, (sample.feeds for sample in data), advance)
    compared = [sample.feeds for sample in islice(data, wanted.samples)]
    references = list(run_on_cpu(model, compared))
    run = runner(wanted.where, device)
    analysis = Analysis(model, known, scheme, {}, compared, references, run)
    quantized = analysis.quantized(scheme)
    noise = analysis.noise(quantized.model)
    sensitivities = _sensitivities(analysis, context, tensors=wanted.tensors)
    notes = [str(note) for note in quantized.notes]
    label = precision_name(options.weights, options.activations)
    estimate, spent = _estimate(quantized.model, context, label, notes)
    return AnalysisRecord(
        model=name,
        precision=label,
        device=device.name,
        where=wanted.where,
        samples=len(compared),
        dataset=data.description,
        random_inputs=data.random,
        sqnr_db=sqnr(1.0, noise),
        items=sensitivity_records(sensitivities, wanted.where, device.name, len(compared), spent),
        estimate=estimate,
        notes=tuple(notes),
    )


def _sensitivities(analysis: Analysis, context: Context, *, tensors: bool) -> list[Sensitivity]:
    """Sensitivity of each node, the worst ones explained, and of each tensor where wanted."""
    from snapq.quantization.analysis import sensitivity

    nodes = sensitivity.sensitive_nodes(analysis)
    with context.progress.track("Quantize each node alone", len(nodes)) as advance:
        sensitivities = sensitivity.analyze_nodes(analysis, advance)
    with context.progress.track("Look for causes") as advance:
        sensitivities = sensitivity.explain(analysis, sensitivities, EXPLAINED, advance)
    if tensors:
        with context.progress.track("Quantize each tensor alone") as advance:
            sensitivities += sensitivity.analyze_tensors(analysis, None, advance)
    return sensitivities


def _estimate(
    model: ir.Model, context: Context, label: str, notes: list[str]
) -> tuple[EstimateRecord | None, dict[str, float]]:
    """The estimate of the quantized model, and microseconds by node; a note where there is none."""
    try:
        with context.progress.track("Estimate"):
            found = Model(model, context.devices[0]).estimate_nodes(label)
    except SnapqError as error:
        notes.append(f"No estimate: {error}")
        return None, {}
    scale = found.total.us / found.total.cycles if found.total.cycles else 0.0
    return found.total, {name: cycles * scale for name, cycles in found.cycles.items()}
