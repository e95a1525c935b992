"""`load` and `check`: a deploy.yaml, and what it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.config import DeployConfig

if TYPE_CHECKING:
    from snapq.pipeline.inputs import Setting


def load(path: str | Path, overrides: Sequence[str] = ()) -> DeployConfig:
    """Reads a deploy.yaml.

    Args:
        path: the YAML file; relative paths in it are relative to its folder.
        overrides: `key.path=value` items that replace what the file says.

    Raises:
        ConfigError: with file, line and key of everything that is wrong.
    """
    from snapq.config import reading as config_file

    return config_file.load(path, overrides)


def check(config: DeployConfig, *, random_inputs: bool = False) -> Setting:
    """Reads and checks everything that a run would need: model, data, devices.

    Raises:
        SnapqError: what is wrong, where, and a hint.
    """
    from snapq.pipeline.inputs import load_setting

    return load_setting(config, random_inputs=random_inputs)
