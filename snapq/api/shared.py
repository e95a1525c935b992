"""What several parts of the API return and need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from snapq.errors import ConfigError, ModelError, both_names, warn_renamed
from snapq.progress import Silent

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.shapes import InputShapes


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<QuantizedModel {self.path}: {self.precision}, {self.encodings} encodings>"


def model_path(model: str | Path | QuantizedModel) -> Path:
    """The file of a model that is given as a path or as what `quantize` returned."""
    return model.path if isinstance(model, QuantizedModel) else Path(model)


def npu_source(
    model: Path,
    shapes: InputShapes,
    outputs: Sequence[str] = (),
    device: DeviceProfile | None = None,
) -> tuple[Path | ir.Model, str]:
    """A model with fixed shapes for the NPU, and its precision: `fp16`, `Q/DQ`, `compiled`.

    Of a classical model it is the part for the NPU, made for the device; without a device such a
    model is refused.

    Raises:
        ModelError: it cannot be read or frozen, or cut at `outputs`.
    """
    from snapq.api.classical_inspection import open_classical, refuse_classical
    from snapq.graph import classical, io
    from snapq.graph.cutting import open_cut

    given = io.load(model)
    if any(node.op_type == "EPContext" for node in given.graph):
        refuse_cut(model, outputs)
        return model, "compiled"
    if device is None:
        refuse_classical(given, "simulate")
    elif classical.is_classical(given):
        classical.refuse_cut(tuple(outputs))
        opened = open_classical(given, shapes, (device,), Silent())
        return opened.made.model, opened.precision
    found = open_cut(model, shapes, outputs).model
    quantized = any(node.op_type == "DequantizeLinear" for node in found.graph)
    return found, "Q/DQ" if quantized else "fp16"


def refuse_cut(model: Path, outputs: Sequence[str]) -> None:
    """Raises `ModelError` where a compiled model is to be cut."""
    if outputs:
        raise ModelError(
            "The model is compiled: its tensors are inside a binary, and it cannot be cut.",
            where=str(model),
            hint="Cut the model that it was compiled from.",
        )


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises `ConfigError` where a file stands that shall not be overwritten, or `-` is named."""
    if str(path) == "-":
        hint = "Name a file or folder; --json prints what the command found, where it has that."
        raise ConfigError("What is written here does not go to standard output.", hint=hint)
    if path.exists() and not overwrite:
        hint = "Name another one, or overwrite it with --force."
        raise ConfigError("The file exists.", where=str(path), hint=hint)


T = TypeVar("T")


def renamed_argument(new: str, value: T | None, old: str, former: T | None) -> T | None:
    """The value of an argument that may be given by its former name.

    Raises:
        ConfigError: it is given by both names.
    """
    if not former:
        return value
    if value:
        raise both_names(old, new)
    warn_renamed(old, new)
    return former


def device_argument(device: str | None, target: str | None) -> str:
    """The device of a function that takes it as `device`, and as `target` as before.

    Raises:
        ConfigError: none is given, or both are.
    """
    chosen = renamed_argument("device", device, "target", target)
    if chosen is None:
        hint = "Name one, such as sm8650; `snapq devices` lists them."
        raise ConfigError("No device is given.", where="--device", hint=hint)
    return chosen
