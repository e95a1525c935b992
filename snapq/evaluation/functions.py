"""Functions of the user's own, named `module:function` in deploy.yaml.

The module is looked for beside the YAML file first and among the installed packages then. An error
in the user's code becomes a `DataError` that names the user's file and line.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from snapq.errors import DataError, nearest
from snapq.evaluation.sources import is_foreign, local_sources
from snapq.storage import fingerprint, sha256_file


def load_function(reference: str, base: Path) -> Callable[..., Any]:
    """Imports `module:function`; `base` is the folder of the YAML file.

    Raises:
        DataError: there is no such module or function, or importing it fails.
    """
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise DataError(
            f"'{reference}' does not name a function.",
            hint="Write `module:function`, such as `mydata:samples` for mydata.py.",
        )
    with user_code(reference):
        module = _import(module_name, base.absolute())
    if module is None:
        raise DataError(
            f"There is no {module_name.replace('.', '/')}.py in {base}, and no installed module "
            f"'{module_name}'.",
            where=reference,
            hint="Correct the name; the module is looked for beside the YAML file.",
        )
    function = getattr(module, name, None)
    if not callable(function):
        match = nearest(name, [key for key, value in vars(module).items() if callable(value)])
        raise DataError(
            f"{module.__file__ or module_name} has no function '{name}'.",
            where=reference,
            hint=f"Did you mean '{match}'?" if match else "Correct the name.",
        )
    return function  # type: ignore[no-any-return]


def source_fingerprint(reference: str, base: Path) -> str:
    """SHA-256 over the source of a function's module and of the local modules that it imports."""
    files = local_sources(reference.partition(":")[0], base.absolute())
    return fingerprint({name: sha256_file(path) for name, path in files.items()})


@contextmanager
def user_code(reference: str) -> Iterator[None]:
    """Runs code of the user's; an error in it becomes a `DataError` with its file and line."""
    try:
        yield
    except (DataError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # `sys.exit`, and what other libraries end their loops with
        raise DataError(
            f"{type(error).__name__}: {error or 'no message'}".rstrip(".") + ".",
            where=_place(error) or reference,
            hint=f"Fix `{reference}`.",
        ) from error


def _import(name: str, base: Path) -> ModuleType | None:
    # The module may import others that lie beside it, at any time: as Python does for a script.
    sys.path[:] = [str(base), *(place for place in sys.path if place != str(base))]
    importlib.invalidate_caches()
    _forget_edited(name, base)
    file = base / f"{name}.py"
    if file.is_file():
        return _import_file(file)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise


_RUN: dict[Path, str] = {}
"""Hash of each local source file as it was when it was last imported here."""


def _forget_edited(name: str, base: Path) -> None:
    """Makes Python import local modules anew where the source of one has changed since it did.

    All of them, as a module that did not change may hold values of one that did.
    """
    loaded, edited = [], False
    for module, path in local_sources(name, base).items():
        digest = sha256_file(path)
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None and not is_foreign(Path(file)):
            loaded.append((module, path))
            edited |= _RUN.get(path) != digest or file != str(path)
        _RUN[path] = digest
    for module, path in loaded if edited else ():
        del sys.modules[module]
        package, _, leaf = module.rpartition(".")
        if package in sys.modules:  # which may hold it as an attribute
            vars(sys.modules[package]).pop(leaf, None)
        # Python takes an old byte code for new where second and size of the source agree.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _import_file(file: Path) -> ModuleType:
    """Runs a file as a module under a name of its own, so that no other module is hidden by it."""
    spec = importlib.util.spec_from_file_location(f"snapq_user.{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _place(error: BaseException) -> str | None:
    """File and line of the user's code nearest to where the error was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    here = str(Path(__file__).resolve().parents[1])
    ours = (here, "<frozen", str(Path(importlib.__file__).parent))
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)
    ]
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None
