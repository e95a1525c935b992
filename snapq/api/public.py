"""What every public function does with its arguments and its errors.

Arguments of another kind than their annotation raise a `SnapqError`, as does what the function
finds out about them later. A message that names an option of the command line names the argument
where the function was called from Python.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from numbers import Integral, Real
from typing import ParamSpec, TypeVar

from snapq.errors import ConfigError, SnapqError, did_you_mean, nearest

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=StrEnum)

_ON_COMMAND_LINE: ContextVar[bool] = ContextVar("on_command_line", default=False)
_ALIASES = {"input": "inputs", "force": "overwrite", "cut-at": "outputs", "format": "file_format"}
"""Options whose argument has another name."""
_OPTION = re.compile(r"--([a-z][a-z-]*)(?: [A-Z][A-Z_]*(?:=\S+)?| [^\s=]+=\S+)?")
_BOTH = re.compile(r"--[a-z][a-z-]* \(([a-z_]+=[^()]*)\)")
_QUOTED = re.compile(r"(`[^`]*`)")
_SHOWN = 60


@contextmanager
def command_line() -> Iterator[None]:
    """Lets messages name options of the command line while the block runs."""
    token = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(token)


def public(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the API that is never called wrongly with another error than ours."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **named: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **named)
        except TypeError as error:
            raise _misused(function.__name__, signature, named, error) from None
        for name, value in bound.arguments.items():
            _check(function.__name__, name, str(signature.parameters[name].annotation), value)
        try:
            return function(*args, **named)
        except SnapqError as error:
            if not _ON_COMMAND_LINE.get():
                _in_python(error, signature)
            raise
        except ValueError as error:
            raise _unfit(function.__name__, error) or error from None

    return called


def _unfit(function: str, error: ValueError) -> ConfigError | None:
    """The error of ours for options that do not go together; None for all others."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return None
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    return ConfigError(f"{what}.", where=f"{function}({name}=…)" if name else f"{function}()")


def choice(kind: type[E], value: str, name: str) -> E:
    """The member of an enumeration that an argument names. Raises `ConfigError`."""
    try:
        return kind(value)
    except ValueError:
        known = [one.value for one in kind]
        hint = did_you_mean(str(value), known, f"There are {', '.join(known)}.")
        where = f"--{name.replace('_', '-')}"
        raise ConfigError(f"There is no {name} {value!r}.", where=where, hint=hint) from None


def _misused(
    function: str, signature: inspect.Signature, named: Mapping[str, object], error: TypeError
) -> ConfigError:
    unknown = [name for name in named if name not in signature.parameters]
    known = list(signature.parameters)
    if unknown:
        close = nearest(unknown[0], known)
        hint = f"Did you mean {close}=?" if close else f"It takes {', '.join(known)}."
        return ConfigError(f"{function}() takes no `{unknown[0]}`.", hint=hint)
    return ConfigError(f"{function}(): {error}.", hint=f"It takes {', '.join(known)}.")


def _check(function: str, name: str, annotation: str, value: object) -> None:
    """Refuses a value that is of none of the kinds of its annotation, where these are known."""
    kinds = [kind.strip() for kind in annotation.split(" | ")]
    if any(("[" in kind and kind not in _CHECKS) or kind in _ANYTHING for kind in kinds):
        return
    if any(_fits(kind, value) for kind in kinds):
        return
    told = [kind for kind in kinds if not (kind == "str" and "Path" in kinds)]
    needed = " or ".join(_WORDS.get(kind, f"a {kind}") for kind in told if kind != "None")
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{type(value).__name__} object"
    raise ConfigError(f"`{name}` is {needed}, and not {shown}.", where=f"{function}({name}=…)")


def _fits(kind: str, value: object) -> bool:
    if kind in _CHECKS:
        return _CHECKS[kind](value)
    return any(one.__name__ == kind for one in type(value).__mro__)


def _is_texts(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and all(isinstance(one, str) for one in value)
    )


def _is_shapes(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and isinstance(shape, Sequence)
        and all(isinstance(size, Integral) for size in shape)
        for name, shape in value.items()
    )


_CHECKS: dict[str, Callable[[object], bool]] = {
    "None": lambda value: value is None,
    "str": lambda value: isinstance(value, str),
    "Path": lambda value: isinstance(value, os.PathLike),
    "bool": lambda value: isinstance(value, bool) or type(value).__name__ == "bool_",
    "int": lambda value: isinstance(value, Integral) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, Real) and not isinstance(value, bool),
    "Sequence[str]": _is_texts,
    "InputShapes": _is_shapes,
    "Progress": lambda value: all(callable(getattr(value, w, None)) for w in ("say", "track")),
}
_ANYTHING = frozenset({"GivenSamples", "OnTrial", "Search", "Any", "object"})
"""Kinds that the function itself looks at."""
_WORDS = {
    "str": "a text",
    "Path": "a path",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "Sequence[str]": "a list of texts",
    "InputShapes": "a shape for each input, {'input': (1, 3, 224, 224)}",
    "Progress": "a progress reporter with `say` and `track`",
}


def _in_python(error: SnapqError, signature: inspect.Signature) -> None:
    """Names arguments in the place of options, where the function has them."""
    parameters = signature.parameters

    def argument(option: str) -> str | None:
        name = option.replace("-", "_")
        found = name if name in parameters else _ALIASES.get(option)
        return found if found in parameters else None

    def named(found: re.Match[str]) -> str:
        name = argument(found[1])
        if name is None:
            return found[0]
        return f"{name}=True" if str(parameters[name].annotation) == "bool" else f"{name}=…"

    def translated(text: str) -> str:
        parts = _QUOTED.split(text)  # a command in marks stays what it is
        return "".join(
            part if part.startswith("`") else _OPTION.sub(named, _BOTH.sub(r"\1", part))
            for part in parts
        )

    for one in (error, *error.also):
        if one.hint:
            one.hint = translated(one.hint)
        if one.where and one.where.startswith("--"):
            one.where = argument(one.where.removeprefix("--")) or one.where
