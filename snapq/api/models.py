"""A new model of an old one: quantize, prune, take encodings elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DataSource
from snapq.errors import ConfigError
from snapq.precision import ActivationType, Preset, WeightType
from snapq.progress import Progress, Silent
from snapq.ranking import Importance

if TYPE_CHECKING:
    import numpy as np

    from snapq.graph.shapes import InputShapes
from snapq.api.runs import quantized_model
from snapq.api.shared import (
    ExportedEncodings,
    PrunedModel,
    QuantizedModel,
    model_path,
    refuse_existing,
)


def quantize(
    model: str | Path,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    weights: str = WeightType.INT8,
    activations: str = ActivationType.UINT8,
    preset: str = Preset.BALANCED,
    targets: Sequence[str] = (),
    inputs: InputShapes | None = None,
    samples: int | None = None,
    random_inputs: bool = False,
    encodings: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Prepares and quantizes a float model; the result has float inputs and outputs.

    Args:
        model: path of a float ONNX model.
        calibration: samples as `{input: array}`, of which one at a time is in memory where the
            caller makes them as they are asked for; or a folder of images (used as pixels 0..255),
            or `.npy`/`.npz` files.
        weights: `int8`, `uint8`, `int4` or `int16`.
        activations: `uint8`, `int8`, `uint16` or `float16`.
        preset: `fast`, `balanced` or `best`.
        targets: devices whose rules to obey; the rules of all architectures where not given.
        inputs: shape of each input; needed where the model's are dynamic.
        samples: use this many of the samples of a path.
        random_inputs: calibrate on random inputs, to try things out.
        encodings: a file of AIMET encodings that were made for this model; types and ranges are
            its, and samples are needed only for what it leaves out.
        output: where to write; `MODEL.PRECISION.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: who is told what goes on.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled.
    """
    from snapq.api.single import stage_file
    from snapq.config import QuantizeConfig
    from snapq.pipeline.inputs import precision_of

    options = QuantizeConfig(
        weights=WeightType(weights),
        activations=ActivationType(activations),
        preset=Preset(preset),
        encodings=Path(encodings) if encodings is not None else None,
        never_slower=False,  # what is asked for by name is what is given
    )
    source = Path(model)
    name = "quantized" if encodings is not None else precision_of(options)
    path = Path(output) if output else source.with_suffix(f".{name}.onnx")
    refuse_existing(path, overwrite)
    given = calibration is not None or random_inputs or encodings is None
    data = _calibration_source(calibration, samples, random_inputs) if given else None
    outcome = stage_file(
        "quantize", source, path, data, options, targets, inputs or {}, progress or Silent()
    )
    return QuantizedModel(path, outcome.precision, outcome.details["encodings"], outcome.notes)


def prune(
    model: str | Path,
    ratio: float,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    importance: str = Importance.ACTIVATION,
    repair: bool = True,
    step: int = 32,
    inputs: InputShapes | None = None,
    samples: int | None = None,
    random_inputs: bool = False,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PrunedModel:
    """Prepares a float model, cuts channels from it and refits the layers behind them.

    Args:
        model: path of a float ONNX model.
        ratio: share of the multiply-accumulates to take away.
        calibration: samples, as for `quantize`; not needed with `importance="magnitude"` and
            `repair=False`.
        importance: `magnitude`, `activation`, `second-order` or `taylor`.
        repair: whether to refit.
        step: channel counts are brought to multiples of this.
        inputs: shape of each input; needed where the model's are dynamic.
        samples: use this many of the samples of a path.
        random_inputs: use random inputs as calibration, to try things out.
        output: where to write; `MODEL.pruned.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: who is told what goes on.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read, or nothing of it can be cut.
    """
    from snapq.api.single import stage_file
    from snapq.config import PruneConfig

    way = Importance(importance)
    options = PruneConfig(ratio=ratio, importance=way, repair=repair, step=step)
    source = Path(model)
    path = Path(output) if output else source.with_suffix(".pruned.onnx")
    refuse_existing(path, overwrite)
    needed = repair or way is not Importance.MAGNITUDE or calibration is not None
    data = _calibration_source(calibration, samples, random_inputs) if needed else None
    outcome = stage_file(
        "prune", source, path, data, options, (), inputs or {}, progress or Silent()
    )
    return PrunedModel(path, outcome.details, outcome.notes)


def export_encodings(
    model: str | Path | QuantizedModel,
    output: str | Path,
    *,
    file_format: str = "aimet-1.0",
    float_model: str | Path | None = None,
    overwrite: bool = False,
) -> ExportedEncodings:
    """Writes the encodings of a Q/DQ model for other tools.

    Args:
        model: path of a Q/DQ model, what `quantize` returned, or the folder of a run.
        output: the JSON file to write.
        file_format: `aimet-1.0` or `aimet-0.6.1`.
        float_model: where to write the float model whose tensors the file names, if anywhere.
        overwrite: whether `output` may exist.

    Returns:
        How many tensors the file lists, and which it has no words for: 0.6.1 has none for weights
        with a scale for each block.

    Raises:
        ConfigError: the format is not known, or the file exists.
        ModelError: the model is not quantized.
    """
    from snapq.api.single import export_file
    from snapq.errors import nearest
    from snapq.quantization.exchange.files import FORMATS

    if file_format not in FORMATS:
        close = nearest(file_format, FORMATS)
        raise ConfigError(
            f"There is no format '{file_format}'.",
            where="--format",
            hint=f"Did you mean '{close}'?" if close else f"There are: {', '.join(FORMATS)}.",
        )
    written = [Path(item) for item in (output, float_model) if item is not None]
    for item in written:
        refuse_existing(item, overwrite)
    path = model_path(model)
    source = quantized_model(path) if path.is_dir() else path
    return ExportedEncodings(*export_file(source, file_format, *written))


def _calibration_source(
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None,
    samples: int | None,
    random_inputs: bool,
) -> DataSource | Iterable[Mapping[str, np.ndarray]]:
    if isinstance(calibration, str | Path):
        path = Path(calibration)
        arrays = path.suffix in {".npy", ".npz"} or (path.is_dir() and any(path.glob("*.np[yz]")))
        return DataSource(**{"arrays" if arrays else "images": path, "samples": samples})
    if calibration is not None:
        return calibration
    if random_inputs:
        return DataSource(random=True, samples=samples or 8)
    raise ConfigError(
        "Quantizing needs calibration samples.",
        where="--calibration",
        hint="Give a folder of images or .npy/.npz arrays; to try things out: --random-inputs.",
    )
