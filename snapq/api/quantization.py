"""`quantize`: one float model to one Q/DQ model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import choice, public
from snapq.api.shared import QuantizedModel, refuse_existing, renamed_argument
from snapq.precision import ActivationType, Preset, WeightType
from snapq.progress import Progress, Silent

if TYPE_CHECKING:
    from snapq.api.calibration import GivenSamples
    from snapq.graph.shapes import InputShapes


@public
def quantize(
    model: str | Path,
    calibration: GivenSamples | str | Path | None = None,
    *,
    weights: str = WeightType.INT8,
    activations: str = ActivationType.UINT8,
    preset: str = Preset.BALANCED,
    devices: Sequence[str] = (),
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    samples: int | None = None,
    random_inputs: bool = False,
    encodings: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    targets: Sequence[str] | None = None,
) -> QuantizedModel:
    """Prepares and quantizes a float model; the result has float inputs and outputs.

    Args:
        model: path of a float ONNX model.
        calibration: samples as `{input: array}`, or as an array each where the model has one
            input, of which one at a time is in memory where the caller makes them as they are
            asked for; or a folder of images (used as pixels 0..255), or `.npy`/`.npz` files.
        weights: `int8`, `uint8`, `int4` or `int16`.
        activations: `uint8`, `int8`, `uint16` or `float16`.
        preset: `fast`, `balanced` or `best`.
        devices: those whose rules to obey; the rules of all architectures where not given.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is behind them goes to `OUTPUT.tail.onnx`.
        samples: use this many of the samples; those of a path are spread over all of it.
        random_inputs: calibrate on random inputs, to try things out.
        encodings: a file of AIMET encodings that were made for this model; types and ranges are
            its, and samples are needed only for what it leaves out.
        output: where to write; `MODEL.PRECISION.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: progress reporter; nothing is shown where not given.
        targets: former name of `devices`.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled.
    """
    from snapq.api.calibration import calibration_source
    from snapq.api.one_stage import stage_file
    from snapq.config import QuantizeConfig
    from snapq.pipeline.inputs import precision_of

    options = QuantizeConfig(
        weights=choice(WeightType, weights, "weights"),
        activations=choice(ActivationType, activations, "activations"),
        preset=choice(Preset, preset, "preset"),
        encodings=Path(encodings) if encodings is not None else None,
        never_slower=False,  # what is asked for by name is what is given
    )
    obeyed = renamed_argument("devices", devices, "targets", targets) or ()
    source = Path(model)
    name = "quantized" if encodings is not None else precision_of(options)
    path = Path(output) if output else source.with_suffix(f".{name}.onnx")
    refuse_existing(path, overwrite)
    given = calibration is not None or random_inputs or encodings is None
    data = calibration_source(calibration, samples, random_inputs) if given else None
    outcome = stage_file(
        "quantize", source, path, data, options, obeyed, inputs or {}, progress or Silent(), outputs
    )
    return QuantizedModel(path, outcome.precision, outcome.details["encodings"], outcome.notes)
