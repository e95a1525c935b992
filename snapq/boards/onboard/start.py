"""Starts a program of several modules, which came as texts: no file of it lies on the board."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType


class Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from their texts; that of a package is called `NAME.__init__`."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of this name, if it came along."""
        package = fullname + ".__init__" in self._texts
        if not package and fullname not in self._texts:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module's text."""
        name = module.__name__
        text = self._texts[name if name in self._texts else name + ".__init__"]
        exec(compile(text, name, "exec"), module.__dict__)


def start(main: str, texts: Mapping[str, str]) -> None:
    """Runs `main` of a module with the job and the source that whoever starts this gave."""
    sys.meta_path.insert(0, Texts(texts))
    importlib.import_module(main).main(globals()["JOB"], globals()["SOURCE"])
