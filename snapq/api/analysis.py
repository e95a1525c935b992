"""`snapq analyze`: what quantizing each node, or each tensor, alone costs at the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DataSource, QuantizeConfig
from snapq.errors import DataError, SnapqError
from snapq.precision import precision_name
from snapq.progress import Progress
from snapq.records import AnalysisRecord, EstimateRecord, Where
from snapq.stages.base import Context
from snapq.stages.quantize.judging import (
    estimate_model,
    run_on_cpu,
    runner,
    sensitivity_records,
)

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.shapes import InputShapes
    from snapq.quantization.analysis.sensitivity import Analysis, Damage

EXPLAINED = 10
"""How many of the worst nodes are looked at tensor by tensor."""


@dataclass(frozen=True)
class Asked:
    """What an analysis shall find out.

    Attributes:
        where: `host` or `simulated`: who computes the outputs.
        samples: how many calibration samples the damage is judged on.
        tensors: whether every tensor is judged too.
    """

    where: Where = Where.HOST
    samples: int = 8
    tensors: bool = False


def analyze_file(
    model: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]],
    options: QuantizeConfig,
    device: DeviceProfile,
    shapes: InputShapes,
    asked: Asked,
    progress: Progress,
    base: Path | None = None,
) -> AnalysisRecord:
    """Prepares one file and quantizes each of its nodes alone.

    Raises:
        ConfigError: the model is quantized already.
        DataError: there is no calibration sample, or one does not fit.
        SnapqError: as the prepare stage and the simulator.
    """
    from snapq.api.single import prepared
    from snapq.graph import io

    with prepared(model, calibration, shapes, (device,), progress, base) as (source, context):
        return analyze(io.load(source.model), model.name, options, context, asked)


def analyze(
    model: ir.Model, name: str, options: QuantizeConfig, context: Context, asked: Asked
) -> AnalysisRecord:
    """Quantizes each node alone, and the tensors of the worst ones (or all of them) alone.

    Args:
        model: the prepared float model.
        name: how the model is called.
        options: the precision that is asked about.
        context: its first device is the one that is asked about.
        asked: what to find out.

    Raises:
        DataError: there is no calibration sample, or one does not fit.
        SnapqError: as the simulator, where it is asked for.
    """
    from snapq.quantization.analysis.fidelity import sqnr
    from snapq.quantization.analysis.sensitivity import Analysis
    from snapq.quantization.precision_rules.overrides import resolve
    from snapq.quantization.quantize import Scheme, observe

    data, device, progress = context.calibration, context.devices[0], context.progress
    if data is None:
        raise DataError("There is no calibration sample.", where="data.calibration")
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        per_channel=options.per_channel,
        architecture=min(one.architecture for one in context.devices),
        per_node=resolve(options.overrides, model),
    )
    with progress.track("Calibrate", len(data)) as advance:
        known = observe(model, (sample.feeds for sample in data), advance)
    judged = [sample.feeds for sample in islice(data, asked.samples)]
    references = list(run_on_cpu(model, judged))
    run = runner(asked.where, device)
    analysis = Analysis(model, known, scheme, {}, judged, references, run)
    whole = analysis.quantized(scheme)
    noise = analysis.noise(whole.model)
    damages = _judge(analysis, context, tensors=asked.tensors)
    notes: list[str] = list(whole.notes)
    label = precision_name(options.weights, options.activations)
    estimate, spent = _estimate(whole.model, context, label, notes)
    return AnalysisRecord(
        model=name,
        precision=label,
        device=device.name,
        where=asked.where,
        samples=len(judged),
        dataset=data.description,
        random_inputs=data.random,
        sqnr_db=sqnr(1.0, noise),
        items=sensitivity_records(damages, asked.where, device.name, len(judged), spent),
        estimate=estimate,
        notes=tuple(notes),
    )


def _judge(analysis: Analysis, context: Context, *, tensors: bool) -> list[Damage]:
    """Damage of each node, the worst ones explained, and of each tensor where that is wanted."""
    from snapq.quantization.analysis import sensitivity

    nodes = sensitivity.sensitive_nodes(analysis)
    with context.progress.track("Quantize each node alone", len(nodes)) as advance:
        damages = sensitivity.analyze_nodes(analysis, advance)
    with context.progress.track("Look for causes") as advance:
        damages = sensitivity.explain(analysis, damages, EXPLAINED, advance)
    if tensors:
        with context.progress.track("Quantize each tensor alone") as advance:
            damages += sensitivity.analyze_tensors(analysis, None, advance)
    return damages


def _estimate(
    model: ir.Model, context: Context, label: str, notes: list[str]
) -> tuple[EstimateRecord | None, dict[str, float]]:
    """The estimate of the quantized model, and microseconds by node; a note where there is none."""
    try:
        with context.progress.track("Estimate"):
            found = estimate_model(model, context.devices[0], None, label)
    except SnapqError as error:
        notes.append(f"No estimate: {error}")
        return None, {}
    scale = found.total.us / found.total.cycles if found.total.cycles else 0.0
    return found.total, {name: cycles * scale for name, cycles in found.cycles.items()}
