"""The quantize stage: calibrates on the samples, inserts Q/DQ, writes the encodings beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from snapq.bundle import ENCODINGS
from snapq.config import QuantizeConfig
from snapq.errors import ConfigError, DataError, ModelError
from snapq.graph import io
from snapq.precision import ActivationType, Preset, precision_name
from snapq.quantization.quantize import Quantized
from snapq.records import EncodingRecord, HistogramRecord
from snapq.stages.artifact import MODEL
from snapq.stages.base import Context, Input, Outcome, Reads, Source
from snapq.stages.imposing import from_file, read_weights
from snapq.stages.quantize.box_decoding import widen_boxes
from snapq.stages.quantize.job import quantization_job
from snapq.stages.quantize.mixing import mix
from snapq.stages.quantize.never_slower import Kept, keep_fast
from snapq.stages.quantize.weight_scales import race_scales
from snapq.storage import write_json

_NOT_RANDOM = (
    "The sample is random, whole numbers 0 or 1, and this model does not take any: name real "
    "samples (data.calibration), or fix lengths and the like (`model.inputs: {NAME: NUMBER}`)."
)


def reads(options: QuantizeConfig) -> Reads:
    """The model and samples; of a file of encodings the model as given; metrics that mixes keep."""
    needed, optional = [Input.PREVIOUS, Input.DEVICES], [Input.BOUNDARY]
    if options.encodings is not None:
        return Reads((*needed, Input.GIVEN), (*optional, Input.CALIBRATION))
    if options.budget is not None:
        optional += [Input.METRICS, Input.TAIL]
    return Reads((*needed, Input.CALIBRATION), tuple(optional))


def run(options: QuantizeConfig, context: Context, folder: Path) -> Outcome:
    """Writes the Q/DQ model (float inputs and outputs) and its encodings into `folder`.

    Raises:
        ConfigError: there is no calibration data, the model is quantized already, or an override
            matches no node, or the file of encodings is not for this model.
        DataError: a sample does not fit the model or is not finite.
        DeviceError: a target lacks the precision.
    """
    source, data = context.previous, context.calibration
    if data is None and options.encodings is None:
        raise ConfigError(
            "The quantize stage needs calibration samples.",
            where="data.calibration",
            hint="Give images, arrays or python there; 32 to 128 samples are usual. "
            "To try things out without data: --random-inputs.",
        )
    if source.precision != "float":
        raise ConfigError(
            "The model is quantized already.", where="stages", hint="Name quantize once."
        )
    model = io.load(source.model)
    try:
        kept = _quantize(model, source, options, context, folder)
    except (DataError, ModelError) as error:
        if data is None or not data.random or "sample" not in str(error.where):
            raise
        raise type(error)(error.what, where=error.where, hint=_NOT_RANDOM) from error
    result = kept.quantized
    write(result, folder)
    return Outcome(
        precision=kept.precision,
        notes=tuple(map(str, result.notes)),
        details={
            "calibration": data.description if data is not None else None,
            "samples": len(data) if data is not None else 0,
            "random_inputs": data is not None and data.random,
            "encodings": len(result.encodings),
            **kept.details,
        },
        failures=kept.failures,
    )


def _quantize(
    model: ir.Model, source: Source, options: QuantizeConfig, context: Context, folder: Path
) -> Kept:
    """The quantized model, the name of its precision, and figures for the record."""
    data = context.calibration
    label = precision_name(options.weights, options.activations)
    if options.encodings is not None:
        count = len(data) if data is not None else None
        with context.progress.track("Calibrate", count) as advance:
            found = from_file(options.encodings, model, options.overrides, context, advance)
        return Kept(found.quantized, found.precision, {})
    assert data is not None
    job = quantization_job(model, options, context, read_weights(source))
    failures: tuple[str, ...] = ()
    wide = options.precision == "auto" or options.activations is ActivationType.UINT16
    if wide and (options.never_slower or options.preset is Preset.BEST):
        raced = race_scales(job, context)
        job, failures = raced.job, raced.failures
    if options.budget is not None:
        mixed = mix(job, options, label, context, folder)
        return replace(
            mixed,
            details={"mixed_precision": mixed.details},
            failures=(*failures, *mixed.failures),
        )
    widened = widen_boxes(job, context)
    job, failures = widened.job, (*failures, *widened.failures)
    with context.progress.track("Calibrate", len(data)) as advance:
        result = job.quantized(data, advance)
    if not options.never_slower:
        return Kept(result, label, {})
    kept = keep_fast(job, result, label, context)
    details = {"never_slower": kept.details}
    return replace(kept, details=details, failures=(*failures, *kept.failures))


def write(result: Quantized, folder: Path) -> None:
    """Writes a quantized model, and its encodings beside it. Raises `StorageError`."""
    io.save(result.model, folder / MODEL)
    write_json(folder / ENCODINGS, [record.to_json() for record in encoding_records(result)])


def encoding_records(result: Quantized) -> list[EncodingRecord]:
    """Lists the encodings of all tensors, sorted by name."""
    graph = result.model.graph
    computed = {value.name for node in graph for value in node.outputs}
    computed |= {value.name for value in graph.inputs}
    return [_record(result, name, name in computed) for name in sorted(result.encodings)]


def _record(result: Quantized, tensor: str, computed: bool) -> EncodingRecord:
    """One tensor's encoding with what calibration saw of it; what is not computed is constant."""
    encoding = result.encodings[tensor]
    seen = result.statistics.get(tensor)
    constant = "bias" if encoding.dtype.value == "int32" else "weight"
    return EncodingRecord(
        tensor=tensor,
        kind="activation" if computed else constant,
        dtype=encoding.dtype.value,
        scale=tuple(float(value) for value in encoding.scale.reshape(-1)),
        zero_point=tuple(int(value) for value in encoding.zero_point.reshape(-1)),
        axis=encoding.axis,
        channels=int(encoding.scale.size),
        minimum=seen.minimum if seen else float(encoding.minimum.min()),
        maximum=seen.maximum if seen else float(encoding.maximum.max()),
        histogram=None
        if seen is None
        else HistogramRecord(
            low=seen.histogram.low,
            high=seen.histogram.high,
            counts=tuple(int(count) for count in seen.histogram.counts),
        ),
    )
