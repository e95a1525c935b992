"""The quantize stage: calibrate on the samples, insert Q/DQ, write the encodings beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from snapq.artifact import MODEL
from snapq.config import QuantizeConfig
from snapq.errors import ConfigError
from snapq.records import EncodingRecord, HistogramRecord
from snapq.stages.base import Context, Outcome, Source
from snapq.storage import write_json

if TYPE_CHECKING:
    from snapq.quantization.quantize import Quantized

ENCODINGS = "encodings.json"


def run(source: Source, options: QuantizeConfig, context: Context, folder: Path) -> Outcome:
    """Writes the Q/DQ model (float inputs and outputs) and its encodings into `folder`.

    Raises:
        ConfigError: there is no calibration data, or the model is quantized already.
        DataError: a sample does not fit the model or is not finite.
        DeviceError: a target lacks the precision.
    """
    from snapq.graph import boundary, io
    from snapq.quantization.quantize import Scheme, quantize

    if context.calibration is None:
        raise ConfigError(
            "The quantize stage needs calibration samples.",
            where="data.calibration",
            mend="Give images, arrays or python there; 32 to 128 samples are usual. "
            "To try things out without data: --random-inputs.",
        )
    if source.precision != "float":
        raise ConfigError(
            "The model is quantized already.", where="stages", mend="Name quantize once."
        )
    model = io.load(source.model)
    fixed = {}
    samples = (sample.feeds for sample in context.calibration)
    if context.boundary is not None:
        plan = context.boundary
        model = boundary.fold_normalization(model, plan)
        samples = (plan.model_feeds(sample) for sample in context.calibration)
        fixed = plan.input_encodings()
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        per_channel=options.per_channel,
        architecture=min(device.architecture for device in context.devices),
    )
    with context.progress.track("Calibrate", len(context.calibration)) as advance:
        result = quantize(model, samples, scheme, fixed=fixed, progress=advance)
    io.save(result.model, folder / MODEL)
    write_json(folder / ENCODINGS, [e.model_dump(mode="json") for e in encoding_records(result)])
    return Outcome(
        precision=scheme.precision,
        notes=result.notes,
        details={
            "calibration": context.calibration.description,
            "samples": len(context.calibration),
            "random_inputs": context.calibration.random,
            "encodings": len(result.encodings),
        },
    )


def encoding_records(result: Quantized) -> list[EncodingRecord]:
    """Lists the encodings of all tensors, sorted by name."""
    records = []
    for tensor, encoding in sorted(result.encodings.items()):
        statistics = result.statistics.get(tensor)
        low, high = encoding.range
        histogram = None
        if statistics is not None and statistics.histogram is not None:
            histogram = HistogramRecord(
                low=statistics.histogram.low,
                high=statistics.histogram.high,
                counts=tuple(int(count) for count in statistics.histogram.counts),
            )
        records.append(
            EncodingRecord(
                tensor=tensor,
                kind=result.kind(tensor),
                dtype=encoding.dtype.value,
                scale=tuple(float(value) for value in encoding.scale.reshape(-1)),
                zero_point=tuple(int(value) for value in encoding.zero_point.reshape(-1)),
                axis=encoding.axis,
                channels=int(encoding.scale.size),
                minimum=statistics.minimum if statistics else low,
                maximum=statistics.maximum if statistics else high,
                histogram=histogram,
            )
        )
    return records
