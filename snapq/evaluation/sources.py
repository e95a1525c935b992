"""Where the code of a user's function lies: its module and the local modules that it imports.

Local is what lies beside the YAML file or on `sys.path`, and is neither Python's own nor installed
among the site packages; of an installed module, what belongs to the same distribution package.
Imports are read from the source, also those inside of functions and `importlib.import_module` of a
literal; names that a program makes up at run time are not found.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLED = ("site-packages", "dist-packages")


def local_sources(module: str, base: Path) -> dict[str, Path]:
    """The files of a module and of the local modules that it imports, by dotted name.

    `base` is the folder of the YAML file.
    """
    found: dict[str, Path] = {}
    top = module.partition(".")[0]
    beside = base / f"{module}.py"
    waiting = [module]
    if beside.is_file():  # is what runs, even where a package of the same name lies there too
        found[module], waiting = beside, list(_imports(beside, ""))
    while waiting:
        name = waiting.pop()
        path = None if name in found else _find(name, base, installed=top)
        if path is None or name.partition(".")[0] == "snapq":
            continue
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        if "." in name:
            waiting.append(name.rpartition(".")[0])  # Python runs the packages above it too
        waiting.extend(_imports(path, package))
    return found


def _find(name: str, base: Path, *, installed: str) -> Path | None:
    """The file of a local module; None where there is none."""
    relative = Path(*name.split("."))
    for root in (base, *map(Path, sys.path)):
        if root != base and is_foreign(root) and name.partition(".")[0] != installed:
            continue
        for path in (root / relative / "__init__.py", root / relative.with_suffix(".py")):
            if path.is_file():
                return path
    return None


def is_foreign(path: Path) -> bool:
    """Whether a file, or a folder of `sys.path`, is Python's own or of an installed package."""
    library = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib")}
    installed = any(part in _INSTALLED for part in path.parts)
    return installed or any(path.is_relative_to(place) for place in library)


def _imports(path: Path, package: str) -> Iterator[str]:
    """Names of the modules that a source file may import; none where it is not valid Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(above if node.level else ()), *((node.module,) if node.module else ())]
            origin = ".".join(part for part in parts if part)
            yield from filter(
                None, (origin, *(f"{origin}.{a.name}".lstrip(".") for a in node.names))
            )
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("import_module", "__import__"):
                yield from _called_for(node, package)


def _called_for(call: ast.Call, package: str) -> Iterator[str]:
    """The module that a call of `import_module` or `__import__` with literals imports."""
    given = dict(zip(("name", "package"), call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg is not None}
    texts = {key: value.value for key, value in given.items() if isinstance(value, ast.Constant)}
    if "name" in texts:
        name = str(texts["name"])
        level = len(name) - len(name.lstrip("."))
        above = str(texts.get("package", package)).split(".")
        yield ".".join([*above[: len(above) - level + 1], name[level:]] if level else [name])
