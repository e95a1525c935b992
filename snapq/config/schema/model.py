"""`model` and `io`: the model, and inputs and outputs of its package."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from snapq.config.schema.base import FilePath, Strict


class Model(Strict):
    """The float model to deploy."""

    path: FilePath
    """The ONNX file."""
    inputs: dict[str, int | float | tuple[Annotated[int, Field(gt=0)], ...]] = Field(
        default_factory=dict
    )
    """Shape of each input, such as `[1, 3, 224, 224]`: freezes dynamic dimensions and overrides
    what the file declares. A number in place of a shape fixes an input that never changes, such as
    a sample rate, to that number. The name of an inner tensor lets the model begin there."""
    outputs: tuple[str, ...] = ()
    """Inner tensors at which the model is cut: what lies in front of them goes to the NPU, the rest
    into the bundle as `tail.onnx`, for the CPU. `snapq inspect` proposes a cut where one helps."""


class IoDtype(StrEnum):
    """Data type of the package's inputs and outputs."""

    QUANTIZED = "quantized"
    FLOAT = "float"


class IoLayout(StrEnum):
    """Layout of image inputs and outputs at the package's boundary."""

    NHWC = "nhwc"
    AS_IS = "as-is"


class Io(Strict):
    """The graph's boundary; by default quantized NHWC for images, float and as-is elsewhere."""

    dtype: IoDtype | None = None
    """`quantized`: raw uint8 frames go in and the normalization is folded into the model."""
    layout: IoLayout | None = None
    """`nhwc`: images enter as cameras and decoders give them; `as-is`: as in the float model."""
