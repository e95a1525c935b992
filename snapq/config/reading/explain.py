"""From pydantic's findings to sentences: what is there, what is needed, what to type."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic_core import ErrorDetails

from snapq.config.reading.json_schema import Schema, describe, json_schema, keys, part
from snapq.config.reading.problems import KeyPath, Problems
from snapq.config.reading.reader import Document, Value
from snapq.errors import nearest

_CHOICE = re.compile(r"`(\w+)`")
_SHOWN = 40
_COMPARED = 100
"""So many wrong keys are compared with the right ones; more are no slip of the hand."""
_YAML_1_1_BOOLEANS = ("yes", "no", "on", "off", "y", "n")


def explain(
    errors: Sequence[ErrorDetails],
    document: Document,
    problems: Problems,
    schema: Schema | None = None,
) -> None:
    """Adds a problem for each of pydantic's `errors` about `document`.

    Left out are errors about values that have a problem already; about lists and mappings of which
    some part has one (pydantic calls a list too short when none of its entries is valid); and about
    missing keys that are there, misspelt.
    """
    schema = schema or json_schema()
    located = [(_path(error, document.value), error) for error in errors]
    # Of the branches of a union, the one that takes what is there says more.
    located.sort(key=lambda found: found[1]["type"] not in ("too_short", "value_error"))
    reported = {problem.path for problem in problems.found}
    unknown = [path for path, error in located if error["type"] == "extra_forbidden" and path]
    for path in unknown[:_COMPARED]:
        close = nearest(str(path[-1]), keys(schema, path[:-1]))
        if close:
            reported.add((*path[:-1], close))
    around = {path[:length] for path, _ in located for length in range(len(path))}
    for path, error in located:
        if path in reported or path in around:
            continue
        reported.add(path)
        spot = document.spot(path)
        if len(problems.found) > _COMPARED:  # of so many, only the first are told
            what, hint = error["msg"], None
        elif error["type"] == "extra_forbidden":
            what, hint = _unknown_key(schema, path)
        elif error["type"] == "missing":
            what, hint = _missing_key(schema, path)
        elif error["type"] == "too_short" and error["input"] == {}:
            what, hint = "A mapping without any entry is given.", "Name one, or leave it out."
        elif error["type"] == "value_error":
            what, hint = error["msg"].removeprefix("Value error, "), None
        else:
            what, hint = _unfit(schema, path, error["input"])
        problems.add(spot, path, what, hint)


def _path(error: ErrorDetails, value: Value) -> KeyPath:
    """The error's location without the names that pydantic gives to the branches of a union."""
    path: KeyPath = ()
    new = error["type"] in ("missing", "extra_forbidden")
    for position, step in enumerate(error["loc"]):
        last = position == len(error["loc"]) - 1
        if isinstance(value, dict) and isinstance(step, str) and (step in value or (new and last)):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif isinstance(value, dict | list) and isinstance(step, str) and not last:
            continue
        else:
            break
        path = (*path, step)
    return path


def _unknown_key(schema: Schema, path: KeyPath) -> tuple[str, str]:
    key, legal = str(path[-1]), keys(schema, path[:-1])
    stages = f"The stages are {', '.join(legal)}."
    close = nearest(key, legal)
    hint = f"Did you mean `{close}`? " if close else ""
    if len(path) == 3 and path[0] == "stages":
        return f"There is no stage `{key}`.", hint + stages
    return f"Unknown key `{key}`.", f"{hint}Keys here: {', '.join(legal)}."


def _missing_key(schema: Schema, path: KeyPath) -> tuple[str, str]:
    here = part(schema, path)
    meaning = f": {here['description']}" if "description" in here else ""
    return f"The key `{path[-1]}` is missing.", f"Add it{meaning}"


def _unfit(schema: Schema, path: KeyPath, value: object) -> tuple[str, str | None]:
    here = part(schema, path)
    needed = describe(schema, here)
    if isinstance(value, str) and "pattern" in str(here):
        return f"{_found(value)} does not fit.", here.get("description")
    return f"{_found(value)} is given where {needed} is needed.", _hint(schema, path, needed, value)


def _hint(schema: Schema, path: KeyPath, needed: str, value: object) -> str | None:
    if isinstance(value, str):
        close = nearest(value, _CHOICE.findall(needed))
        if close:
            return f"Did you mean `{close}`?"
        if needed == "true or false" and value.lower() in _YAML_1_1_BOOLEANS:
            return "Write true or false."
        digits = value.replace("_", "")
        if digits.isascii() and digits.isdigit() and len(digits) <= _SHOWN:
            return f"Write {int(digits)}, without quotes, zeros before or `_`."
    legal = keys(schema, path)
    if legal:
        ready = f"Write `{value}: {{}}`. " if value in legal else ""
        return f"{ready}Keys here: {', '.join(legal)}."
    if needed.startswith("a list of") and not isinstance(value, list | dict | None):
        return f"Write it as a list: [{value}]."
    if path[:2] == ("model", "inputs") and len(path) == 4:
        return "Shapes are fixed: write the size that the package takes."
    if needed == "text" and isinstance(value, int | float):
        return "Put quotes around it."
    return None


def _found(value: object) -> str:
    """A value of the file in words, at the beginning of a sentence."""
    if value is None:
        return "Nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"The number {value}"
    if isinstance(value, str):
        text = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
        return f"The text `{text}`"
    return "A list" if isinstance(value, list | tuple) else "A mapping"
