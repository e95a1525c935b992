"""Networks that Qualcomm's own package defines, read without what else that package needs.

Its modules import PyTorch and, around it, some 40 packages for data sets, uploads and demos. A
network needs none of them: here they are empty stand-ins.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock

from torch import nn

PACKAGE = "qai_hub_models"


class _Base(nn.Module):
    """Stands for `BaseModel`, of which a network needs that it is a module."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


class _Empty(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Base if name == "BaseModel" else MagicMock(name=name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives an empty module for all of the package but the files of one network."""

    def __init__(self, network: str) -> None:
        self.kept = f"{PACKAGE}.models.{network}"

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: object = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """A specification for what is to be empty."""
        inside = name.partition(".")[0] == PACKAGE
        wanted = name in (f"{self.kept}.model", f"{self.kept}.layers")
        if not inside or wanted:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, is_package=True)
        if name == self.kept:
            found = importlib.machinery.PathFinder.find_spec(PACKAGE)
            (root,) = found.submodule_search_locations  # type: ignore[union-attr,misc]
            spec.submodule_search_locations = [f"{root}/models/{name.rpartition('.')[2]}"]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """An empty module."""
        return _Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def network(model: str, name: str, arguments: list[Any] | None = None) -> nn.Module:
    """The network `name` of the package's model `model`."""
    sys.meta_path.insert(0, _Finder(model))
    module = importlib.import_module(f"{PACKAGE}.models.{model}.model")
    return getattr(module, name)(*arguments or ())
