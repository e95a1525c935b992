"""What all parts of deploy.yaml are made of: strict models, paths, sizes, lists of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema

FUNCTION_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""`module:function`."""


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FromFile(Strict):
    """The whole of a file, which knows where the file lies and which secrets it names."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _secrets: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Folder of the YAML file, where `python:` modules are looked for."""
        return self._folder

    @property
    def secrets(self) -> Mapping[str, str]:
        """Values of the secret environment variables that the file names, by name."""
        return self._secrets

    def at(self, folder: Path, secrets: Mapping[str, str] | None = None) -> Self:
        """The same configuration as read from a file in `folder` that names these secrets."""
        copy = self.model_copy()
        copy._folder = folder
        copy._secrets = dict(self._secrets if secrets is None else secrets)
        return copy


class StageConfig(Strict):
    """Options of a stage."""

    repeats: ClassVar[bool] = False
    """Whether the stage may be named more than once."""


def _path(value: Any) -> Any:
    """Refuses an empty text, which would be the current folder."""
    if value == "":
        raise ValueError("The path is empty.")
    return value


FilePath = Annotated[
    Path,
    BeforeValidator(_path),
    WithJsonSchema({"type": "string", "format": "path", "minLength": 1}),
]
"""A file or folder, relative to the YAML file's folder."""


def _tuple_of(*kinds: type) -> BeforeValidator:
    """Makes a tuple of a list, and of one value of these kinds: `mean: 127` is `mean: [127]`."""

    def made(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(value)
        return (value,) if isinstance(value, kinds) else value

    return BeforeValidator(made)


PerChannel = Annotated[
    tuple[float, ...],
    Field(min_length=1),
    _tuple_of(int, float),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "array", "items": {"type": "number"}, "minItems": 1},
            ]
        }
    ),
]

Pixels = Annotated[int, Field(gt=0, le=100_000)]
"""Length of a side of a picture; the bundle's manifest takes no more either."""
Size = Pixels | tuple[Pixels, Pixels]


Names = Annotated[
    tuple[str, ...],
    _tuple_of(str),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
