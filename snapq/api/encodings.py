"""`export_encodings`: the encodings of a Q/DQ model, for other tools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snapq.api.public import public
from snapq.api.running import RUNS, quantized_model
from snapq.api.shared import QuantizedModel, model_path, refuse_existing
from snapq.errors import ConfigError, ModelError, did_you_mean

GSTREAMER = "gstreamer"


@dataclass(frozen=True)
class ExportedEncodings:
    """What went into a file of encodings.

    Attributes:
        count: how many tensors it lists.
        left_out: names of weights with a scale for each block, which its format cannot express.
    """

    count: int
    left_out: tuple[str, ...] = ()


@public
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
        model: path of a Q/DQ model, what `quantize` returned, or the folder of a run or a bundle
            (for `gstreamer` one of the last two).
        output: the file to write.
        file_format: `aimet-1.0` or `aimet-0.6.1` (JSON), or `gstreamer`: what the package takes
            and gives, as text for the elements of Qualcomm's IM SDK.
        float_model: where to write the float model whose tensors the file names, if anywhere.
        overwrite: whether `output` may exist.

    Returns:
        How many tensors the file lists, and which its format cannot express: in 0.6.1
        weights with a scale for each block.

    Raises:
        ConfigError: the format is not known, or the file exists.
        ModelError: the model is not quantized, or its float form is not known.
        StorageError: the file cannot be written.
    """
    from snapq.graph import foreign, io
    from snapq.quantization.exchange.files import FORMATS, write
    from snapq.quantization.existing_qdq.strip import is_quantized, strip

    known = (*FORMATS, GSTREAMER)
    if file_format not in known:
        hint = did_you_mean(file_format, known, f"There are: {', '.join(known)}.")
        raise ConfigError(f"There is no format '{file_format}'.", where="--format", hint=hint)
    for item in (output, float_model):
        if item is not None:
            refuse_existing(Path(item), overwrite)
    if file_format == GSTREAMER:
        return _gstreamer(model, Path(output))
    source = _source(model_path(model))
    loaded = io.load(source)
    if not is_quantized(loaded):
        raise ModelError(
            "The model is not quantized, so it has no encodings.",
            where=str(source),
            hint="Give a Q/DQ model, or the folder of a run that quantized one.",
        )
    with foreign.explaining(loaded):
        foreign.guarded(lambda: strip(loaded).notes, loaded, path=source)
        stripped = strip(loaded)
    if float_model is not None:
        io.save(stripped.model, Path(float_model))
    gone = write(Path(output), stripped.encodings, stripped.model, file_format)
    return ExportedEncodings(len(stripped.encodings) - len(gone), gone)


def _source(path: Path) -> Path:
    """The Q/DQ model that a path stands for: itself, that of a run or that of a bundle."""
    from snapq.bundle import MANIFEST
    from snapq.bundle.read import Bundle

    if (path / MANIFEST).is_file():
        return path / Bundle.open(path).manifest.model
    return quantized_model(path) if path.is_dir() else path


def _gstreamer(model: str | Path | QuantizedModel, output: Path) -> ExportedEncodings:
    """Writes what a package takes and gives as text for GStreamer."""
    from snapq.bundle import MANIFEST
    from snapq.bundle.application.gstreamer import gstreamer
    from snapq.bundle.read import Bundle
    from snapq.pipeline.references import resolve_bundle
    from snapq.storage import write_text

    path = resolve_bundle(model, RUNS) if isinstance(model, str | Path) else model_path(model)
    if not (path / MANIFEST).is_file():
        raise ConfigError(
            "This is no bundle, and `gstreamer` tells of what a package takes and gives.",
            where=str(path),
            hint="Give the folder of a run that packaged the model, or its bundle.",
        )
    bundle = Bundle.open(path)
    write_text(output, gstreamer(bundle.manifest))
    return ExportedEncodings(sum(o.encoding is not None for o in bundle.manifest.outputs))
