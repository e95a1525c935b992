"""Names and values as YAML that is read as exactly this text."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

__all__ = ["near_path", "run_name", "yaml_scalar", "yaml_value"]

_MAX_NAME = 100
_PLAIN = re.compile(r"[A-Za-z_./][\w./-]*", re.ASCII)
_YAML_WORDS = {"true", "false", "null"}


def run_name(stem: str) -> str:
    """A legal name of a run, made of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:_MAX_NAME] or "model"


def near_path(path: Path, folder: Path) -> str:
    """A path as a value, seen from a folder; absolute where that is far off."""
    found = os.path.relpath(path.absolute(), folder)
    far = Path(found).parts[:2] == ("..", "..")
    return yaml_value(str(path.absolute()) if far else found)


def yaml_value(text: str) -> str:
    """`text` as a YAML value; only in values do dollars begin variables."""
    return yaml_scalar(text.replace("$", "$$"))


def yaml_scalar(text: str) -> str:
    """`text` as a YAML scalar that is read as exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
