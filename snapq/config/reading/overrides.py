"""`--set key.path=value`: changes of single values on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from snapq.config.reading.problems import KeyPath, Problem, Problems, Spot, dotted
from snapq.config.reading.reader import Document, Value, read
from snapq.config.reading.renamed import current_path, rename_keys
from snapq.errors import ConfigError

_PART = re.compile(r'"([^"]*)"|([^".=]+)')
_EXAMPLE = "Write --set KEY.PATH=VALUE, such as --set stages.quantize.activations=uint16."


def apply(
    document: Document, option: str, problems: Problems, environment: Mapping[str, str]
) -> None:
    """Puts the value of one option into `document`; missing mappings on the way are made.

    A part of the path is a key, the number of a list's entry, or, in `stages`, a stage's name;
    a key with dots in it stands in double quotes.

    Raises:
        ConfigError: the option has no key or no value, leads nowhere, or its value is not YAML.
    """
    spot = Spot(f"--set {option}")
    try:
        parts, text = _split(option)
        parts = current_path(parts)
        given = read(text, spot, problems, environment)
        rename_keys(given, problems, holder=parts[-1])
        path = put(document.value, parts, given.value)
    except OptionError as wrong:
        raise problems.stop(Problem(spot, (), wrong.what, wrong.hint)) from None
    document.forget(path)
    document.spots[path] = spot


class OptionError(ConfigError):
    """An option that cannot be applied, before it is known where it stands."""


def _split(option: str) -> tuple[tuple[str, ...], str]:
    """The key path of `a."b.c".d=value`, and the value's text."""
    parts: list[str] = []
    at = 0
    while match := _PART.match(option, at):
        parts.append(match[1] if match[1] is not None else match[2].strip())
        at = match.end()
        if option[at : at + 1] != ".":
            break
        at += 1
    if not parts or option[at : at + 1] != "=":
        raise OptionError("The option has no key or no value.", hint=_EXAMPLE)
    return tuple(parts), option[at + 1 :]


def key_parts(key: str) -> tuple[str, ...]:
    """The parts of a key path, by their present names. Raises `OptionError`."""
    return current_path(_split(f"{key}=0")[0])


def put(root: Value, parts: tuple[str, ...], given: Value) -> KeyPath:
    """Puts `given` at the place that `parts` name, and returns its path.

    Raises:
        OptionError: they lead nowhere.
    """
    holder: Value = root
    path: KeyPath = ()
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if isinstance(holder, list):
            index = _entry(holder, part, path)
            path = (*path, index)
            if part.isdecimal():
                holder[index] = given if last else _or_mapping(holder[index])
                holder = holder[index]
                continue
            holder = holder[index]
        if not isinstance(holder, dict):
            what = f"`{dotted(path)}` is a value and has no key `{part}`."
            raise OptionError(what, hint=_EXAMPLE)
        path = (*path, part)
        holder[part] = given if last else _or_mapping(holder.get(part))
        holder = holder[part]
    return path


def _or_mapping(value: Value) -> Value:
    return {} if value is None else value


def _entry(entries: list[Value], part: str, path: KeyPath) -> int:
    """Index of the entry that `part` means: a number, or the key of the one entry that has it."""
    if part.isdecimal() and len(part) < 10 and int(part) < len(entries):
        return int(part)
    named = [i for i, entry in enumerate(entries) if isinstance(entry, dict) and part in entry]
    if len(named) == 1 and not part.isdecimal():
        return named[0]
    names = [key for entry in entries if isinstance(entry, dict) for key in entry]
    there = f"0 to {len(entries) - 1}" if entries else "none"
    named_too = f" ({', '.join(names)})" if names else ""
    hint = f"Its entries are {there}{named_too}."
    raise OptionError(f"`{dotted(path)}` has no single entry `{part}`.", hint=hint)
