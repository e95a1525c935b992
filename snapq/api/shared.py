"""What several parts of the API return and need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snapq.errors import ConfigError


@dataclass(frozen=True)
class QuantizedModel:
    """A Q/DQ model on disk.

    Attributes:
        path: the ONNX file; float inputs and outputs.
        precision: weights and activations, `w8a8`.
        encodings: number of tensors that have an encoding.
        notes: sentences on what was left in float and why.
    """

    path: Path
    precision: str
    encodings: int
    notes: tuple[str, ...]


def model_path(model: str | Path | QuantizedModel) -> Path:
    """The file of a model that is given as a path or as what `quantize` returned."""
    return model.path if isinstance(model, QuantizedModel) else Path(model)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises `ConfigError` where a file stands that shall not be overwritten."""
    if path.exists() and not overwrite:
        raise ConfigError(
            "The file exists.",
            where=str(path),
            hint="Name another one, or overwrite it with --force (overwrite=True).",
        )
