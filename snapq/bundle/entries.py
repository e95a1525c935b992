"""What all parts of the manifest are made of: strict models, and texts that can be trusted."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "BundlePath",
    "DeviceName",
    "Dimensions",
    "Dtype",
    "Entry",
    "Finite",
    "Permutation",
    "Pixel",
    "Pixels",
    "Sha256",
    "Text",
    "as_tuple",
    "check_text",
]

DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def _check_path(value: str) -> str:
    """Accepts a relative path inside the bundle, in one spelling only."""
    path = PurePosixPath(value)
    plain = "\\" not in value and ":" not in value and len(value) <= 255
    if not plain or path.is_absolute() or str(path) != value or ".." in path.parts or value == ".":
        raise ValueError("is not a plain path inside the bundle")
    return value


def check_text(value: str) -> str:
    """Accepts text without control characters, which could forge what a terminal shows."""
    if len(value) > 4096:
        raise ValueError("is longer than 4096 characters")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in value):
        raise ValueError("holds control characters")
    return value


def _check_device(value: str) -> str:
    if not DEVICE.fullmatch(value) or len(value) > 100:
        raise ValueError("is not a device name")
    return value


def as_tuple(value: Any) -> Any:
    """A list as the tuple that strict models take."""
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, AfterValidator(check_text)]
BundlePath = Annotated[str, AfterValidator(check_text), AfterValidator(_check_path)]
DeviceName = Annotated[str, AfterValidator(_check_device)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Dtype = Annotated[str, Field(pattern=r"^(u?int(8|16|32|64)|float(16|32|64)|bool|bfloat16)$")]
Dimensions = Annotated[
    tuple[Annotated[int, Field(ge=0, le=2**31)], ...],
    BeforeValidator(as_tuple),
    Field(max_length=16),
]
Permutation = Annotated[tuple[Annotated[int, Field(ge=0, le=15)], ...], BeforeValidator(as_tuple)]


Finite = Annotated[float, Field(allow_inf_nan=False)]
Pixels = Annotated[int, Field(gt=0, le=100_000)]
Pixel = Annotated[int, Field(ge=0, le=255)]


class Entry(BaseModel):
    """A part of the manifest: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
