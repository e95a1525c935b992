"""The quantize stage: calibrates on the samples, inserts Q/DQ, writes the encodings beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.artifact import MODEL
from snapq.config import QuantizeConfig
from snapq.errors import ConfigError
from snapq.precision import Preset, precision_name
from snapq.records import EncodingRecord, HistogramRecord
from snapq.stages.base import Context, Outcome, Source
from snapq.stages.imposing import fixed_inputs, from_file, read_weights, stored_types, unchanged
from snapq.storage import write_json

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.evaluation.samples import Array, Sample
    from snapq.quantization.encodings import Encoding
    from snapq.quantization.quantize import Quantized
    from snapq.quantization.recipe import Recipe, Runner

ENCODINGS = "encodings.json"


def run(source: Source, options: QuantizeConfig, context: Context, folder: Path) -> Outcome:
    """Writes the Q/DQ model (float inputs and outputs) and its encodings into `folder`.

    Raises:
        ConfigError: there is no calibration data, the model is quantized already, or an override
            matches no node, or the file of encodings is not for this model.
        DataError: a sample does not fit the model or is not finite.
        DeviceError: a target lacks the precision.
    """
    from snapq.graph import io

    data = context.calibration
    if data is None and options.encodings is None:
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
    model, precision = io.load(source.model), precision_name(options.weights, options.activations)
    with context.progress.track("Calibrate", len(data) if data is not None else None) as advance:
        if options.encodings is not None:
            found = from_file(options.encodings, model, options.overrides, context, advance)
            result, precision = found.quantized, found.precision
        else:
            assert data is not None
            result = quantized(model, options, context, data, advance, read_weights(source))
    io.save(result.model, folder / MODEL)
    write_json(folder / ENCODINGS, [e.to_json() for e in encoding_records(result)])
    return Outcome(
        precision=precision,
        notes=result.notes,
        details={
            "calibration": data.description if data is not None else None,
            "samples": len(data) if data is not None else 0,
            "random_inputs": data is not None and data.random,
            "encodings": len(result.encodings),
        },
    )


def quantized(
    model: ir.Model,
    options: QuantizeConfig,
    context: Context,
    samples: Iterable[Sample],
    progress: Callable[[int], None] | None = None,
    shared: Mapping[str, Encoding] | None = None,
) -> Quantized:
    """Quantizes a float model as the options and the boundary of the run ask for.

    Args:
        model: the prepared float model.
        options: of the stage.
        context: of the run.
        samples: for calibration.
        progress: called with the number of samples done.
        shared: encodings of weights that an earlier stage made.

    Raises:
        DataError: a sample does not fit the model or is not finite.
    """
    from snapq.graph import boundary
    from snapq.quantization.overrides import resolve
    from snapq.quantization.recipe import tune
    from snapq.quantization.scheme import Scheme

    changed: tuple[str, ...] = ()
    feeds = Feeds(samples, lambda sample: sample.feeds)
    if context.boundary is not None:
        plan = context.boundary
        folded = boundary.fold_normalization(model, plan)
        shared, changed = unchanged(shared or {}, model, folded)
        model = folded
        feeds = Feeds(samples, plan.model_feeds)
    scheme = Scheme(
        weights=options.weights,
        activations=options.activations,
        per_channel=options.per_channel,
        architecture=min(device.architecture for device in context.devices),
        per_node={**stored_types(model, shared or {}), **resolve(options.overrides, model)},
    )
    fixed = {**(shared or {}), **fixed_inputs(context.boundary)}
    result = tune(
        model,
        feeds,
        scheme,
        recipe(options),
        fixed=fixed,
        runner=_simulator(options, context),
        progress=progress,
    )
    return replace(result, notes=(*changed, *result.notes))


def recipe(options: QuantizeConfig) -> Recipe:
    """What the options ask to be tried."""
    from snapq.quantization.recipe import PRESETS

    chosen = PRESETS[options.preset.value]
    if options.observer is not None:
        chosen = replace(chosen, observers=(options.observer,))
    if options.algorithms is not None:
        chosen = replace(chosen, algorithms=options.algorithms)
    return chosen


def _simulator(options: QuantizeConfig, context: Context) -> Runner | None:
    """The simulator of the first target where the preset is `best` and it is installed."""
    from snapq.qnn import availability
    from snapq.records import Where
    from snapq.stages.judging import runner

    if options.preset is not Preset.BEST or not availability.status().usable:
        return None
    return runner(Where.SIMULATED, context.devices[0])


class Feeds:
    """The model's inputs of samples, made anew each time that they are read."""

    def __init__(
        self, samples: Iterable[Sample], feeds: Callable[[Sample], Mapping[str, Array]]
    ) -> None:
        self._samples = samples
        self._feeds = feeds

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        return map(self._feeds, self._samples)


def encoding_records(result: Quantized) -> list[EncodingRecord]:
    """Lists the encodings of all tensors, sorted by name."""
    return [_record(result, tensor) for tensor in sorted(result.encodings)]


def _record(result: Quantized, tensor: str) -> EncodingRecord:
    """One tensor's encoding with what calibration saw of it."""
    encoding = result.encodings[tensor]
    seen = result.statistics.get(tensor)
    if encoding.dtype.value == "int32":
        kind = "bias"
    else:
        kind = "weight" if encoding.axis is not None or seen is None else "activation"
    return EncodingRecord(
        tensor=tensor,
        kind=kind,
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
