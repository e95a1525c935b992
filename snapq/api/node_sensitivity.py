"""The work of `snapq analyze` on a prepared model; `analysis` is what the user calls."""

from __future__ import annotations

from itertools import islice

import onnx_ir as ir

from snapq.config import QuantizeConfig
from snapq.errors import DataError, SnapqError
from snapq.evaluation.sqnr import sqnr
from snapq.npu.model import Model
from snapq.precision import precision_name
from snapq.quantization.analysis import sensitivity
from snapq.quantization.analysis.sensitivity import Analysis, Sensitivity
from snapq.quantization.precision_rules.overrides import resolve
from snapq.quantization.quantize import Scheme, observe
from snapq.records import AnalysisRecord, EstimateRecord, Origin
from snapq.runtime import old_objects_set_aside
from snapq.stages.base import Context
from snapq.stages.quantize.job import granularity
from snapq.stages.quantize.scoring import run_on_cpu, runner, sensitivity_records

EXPLAINED = 10
"""How many of the worst nodes are looked at tensor by tensor."""


@old_objects_set_aside()
def analyze_model(
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
    data, device, progress = context.calibration, context.devices[0], context.progress
    if data is None:
        raise DataError("There is no calibration sample.", where="data.calibration")
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        granularity=granularity(options),
        architecture=device.architecture,
        float16="fp16" in device.precisions,
        per_node=resolve(options.overrides, model),
    )
    with progress.track("Calibrate", len(data)) as advance:
        known = observe(model, (sample.feeds for sample in data), advance)
    compared = [sample.feeds for sample in islice(data, samples)]
    references = [] if where is Origin.HOST else list(run_on_cpu(model, compared))
    run, simulated = runner(where, device), where is Origin.SIMULATED
    analysis = Analysis(model, known, scheme, {}, compared, references, run, side_by_side=simulated)
    if where is Origin.HOST:
        analysis = analysis.from_changes()
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
