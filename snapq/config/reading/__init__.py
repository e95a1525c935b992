"""Reads deploy.yaml: strict; every problem is reported with file, line, key and hint.

`snapq.config` defines what a configuration is; this package turns a file (and `--set` options) into
one. Relative paths are resolved against the file's folder (those of `--set` against the current
folder), `~` and environment variables are put in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from snapq.config import DeployConfig, LanguageDeployConfig
from snapq.config.reading import overrides as options
from snapq.config.reading.checks import check
from snapq.config.reading.explain import explain
from snapq.config.reading.json_schema import json_schema
from snapq.config.reading.problems import KeyPath, Problems, Spot
from snapq.config.reading.reader import Document, Value, read
from snapq.config.reading.renamed import rename_keys
from snapq.config.reading.secrets import Environment
from snapq.errors import ConfigError

__all__ = ["Deployment", "json_schema", "load", "load_deployment"]

Deployment = DeployConfig | LanguageDeployConfig
"""What a deploy.yaml may be: of a network, or of a language model as a pair of graphs."""
_OF_PAIRS = ("prefill", "decode")

MAX_BYTES = 1 << 20

M = TypeVar("M", bound=BaseModel)


def load(path: Path | str, overrides: Sequence[str] = ()) -> DeployConfig:
    """Reads the configuration of a network.

    Args:
        path: the YAML file.
        overrides: changes such as `stages.quantize.activations=uint16`, applied in order.

    Returns:
        The configuration, with absolute paths.

    Raises:
        ConfigError: the file cannot be read, something in it is wrong, or it is of a language
            model; `also` has the further problems.
    """
    config = load_deployment(path, overrides)
    if isinstance(config, LanguageDeployConfig):
        raise ConfigError(
            "This is the deployment of a language model, and a network's is needed here.",
            where=str(path),
            hint="Of a pair of graphs there are `snapq run`, `plan`, `validate` and `snapq llm`.",
        )
    return config


def load_deployment(path: Path | str, overrides: Sequence[str] = ()) -> Deployment:
    """Reads a configuration: of a language model where `model` names a pair of graphs.

    Arguments, result and errors as `load`.
    """
    path = Path(path)
    problems = Problems()
    environment = Environment(os.environ)
    document = read(_text(path), Spot(str(path), 1), problems, environment)
    rename_keys(document, problems)
    if not isinstance(document.value, dict):
        empty = document.value is None
        what = "The file is empty." if empty else "The file is not `key: value` lines."
        hint = "Write one: snapq init MODEL.onnx; `snapq schema` has every key."
        raise ConfigError(what, where=str(path), hint=hint)
    for option in overrides:
        options.apply(document, option, problems, environment)
    kind = _kind(document.value)
    try:
        # JSON mode, because strict validation of Python values would refuse text for enums.
        config = kind.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        explain(error.errors(), document, problems, json_schema(kind))
        problems.check()
        raise
    problems.check()
    folder = path.absolute().parent
    config = _with_absolute_paths(config, (), document, folder, problems)
    for key, what, hint in check(config):
        problems.add(document.spot(key), key, what, hint)
    problems.check()
    return config.at(folder, environment.secrets)


def _kind(value: Value) -> type[DeployConfig] | type[LanguageDeployConfig]:
    """What a file is read as: that of a language model where `model` has a graph of a pair."""
    model = value.get("model") if isinstance(value, dict) else None
    of_pair = isinstance(model, dict) and any(key in model for key in _OF_PAIRS)
    return LanguageDeployConfig if of_pair else DeployConfig


def _text(path: Path) -> str:
    where = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data[:MAX_BYTES].decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Check the path, or write one: snapq init MODEL.onnx"
        raise ConfigError("There is no such file.", where=where, hint=hint) from None
    except IsADirectoryError:
        hint = f"Name the YAML file in it: {path / 'deploy.yaml'}"
        raise ConfigError("This is a folder.", where=where, hint=hint) from None
    except UnicodeDecodeError:
        hint = "Save it as UTF-8."
        if path.suffix == ".onnx":
            hint = f"For a model, write a configuration first: snapq init {path}"
        raise ConfigError("This is not UTF-8 text.", where=where, hint=hint) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"The file cannot be read: {reason}.", where=where) from None
    if len(data) > MAX_BYTES:
        hint = "A deploy.yaml has some dozens of lines; is this the right file?"
        raise ConfigError("The file is larger than 1 MiB.", where=where, hint=hint)
    return text


def _with_absolute_paths(
    model: M, path: KeyPath, document: Document, folder: Path, problems: Problems
) -> M:
    """Copies `model` with each path in it made absolute."""
    changed: dict[str, Any] = {}
    for name in type(model).model_fields:
        value, inner = getattr(model, name), (*path, name)
        if isinstance(value, BaseModel):
            changed[name] = _with_absolute_paths(value, inner, document, folder, problems)
        elif name == "stages":
            changed[name] = tuple(
                _with_absolute_paths(item, (*inner, index), document, folder, problems)
                for index, item in enumerate(value)
            )
        elif isinstance(value, Path):
            spot = document.spot(inner)
            base = Path.cwd() if spot.line is None else folder
            try:
                changed[name] = _absolute(value, base)
            except ValueError as error:
                problems.add(spot, inner, str(error), "Write a path without it.")
    changed = {name: value for name, value in changed.items() if value is not getattr(model, name)}
    return model.model_copy(update=changed) if changed else model


def _absolute(path: Path, base: Path) -> Path:
    """`path` seen from `base`, with `~` put in and without `..`. Raises `ValueError`."""
    text = str(path)
    if not text.isprintable():
        raise ValueError("The path has an invisible character in it.")
    try:
        return Path(os.path.normpath(base / path.expanduser()))
    except RuntimeError:
        raise ValueError(f"There is no user whose home is `{path.parts[0]}`.") from None
