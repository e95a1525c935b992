"""`snapq analyze`: what quantizing each node, or each tensor, alone costs at the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.shared import refuse_existing
from snapq.config import DataSource, QuantizeConfig
from snapq.config.reading import load
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

    from snapq.graph.shapes import InputShapes
    from snapq.quantization.analysis.sensitivity import Analysis, Sensitivity

EXPLAINED = 10
"""How many of the worst nodes are looked at tensor by tensor."""


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
    from snapq.api.one_stage import prepared
    from snapq.devices.profiles import find
    from snapq.graph import io

    if page is not None:
        refuse_existing(Path(page), overwrite)
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
    with prepared(path, data, inputs or {}, (find(device),), base) as values:
        reads = Reads((Input.DEVICES, Input.CALIBRATION))
        found = _analyze_model(
            io.load(values[Input.PREVIOUS].model),
            path.name,
            options,
            Context(reads, values, progress=progress or Silent()),
            where=Origin.SIMULATED if simulated else Origin.HOST,
            samples=samples,
            tensors=tensors,
        )
    if page is not None:
        from snapq.report.analysis import render

        write_text(Path(page), render(found))
    return found


def _analyze_model(
    model: ir.Model,
    name: str,
    options: QuantizeConfig,
    context: Context,
    *,
    where: Origin,
    samples: int,
    tensors: bool,
) -> AnalysisRecord:
    """Quantizes each node of a prepared model alone; tensors too, of the worst nodes or of all.

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
        architecture=device.architecture,
        per_node=resolve(options.overrides, model),
    )
    with progress.track("Calibrate", len(data)) as advance:
        known = observe(model, (sample.feeds for sample in data), advance)
    compared = [sample.feeds for sample in islice(data, samples)]
    references = list(run_on_cpu(model, compared))
    analysis = Analysis(model, known, scheme, {}, compared, references, runner(where, device))
    quantized = analysis.quantized(scheme)
    noise = analysis.noise(quantized.model)
    found = _sensitivities(analysis, context, tensors=tensors)
    notes = [str(note) for note in quantized.notes]
    label = precision_name(options.weights, options.activations)
    estimate, spent = _estimate(quantized.model, context, label, notes)
    return AnalysisRecord(
        model=name,
        precision=label,
        device=device.name,
        where=where,
        samples=len(compared),
        dataset=data.description,
        random_inputs=data.random,
        sqnr_db=sqnr(1.0, noise),
        items=sensitivity_records(found, where, device.name, len(compared), spent),
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
