"""The JSON Schema of deploy.yaml, and what it says in plain words."""

from __future__ import annotations

import functools
import json
from typing import Any

from snapq.config import DeployConfig
from snapq.config.reading.problems import KeyPath
from snapq.config.schema.base import FromFile

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@functools.cache
def json_schema(kind: type[FromFile] = DeployConfig) -> Schema:
    """The JSON Schema (2020-12) of deploy.yaml, after environment variables are put in.

    Editors read it for completion and checks; `snapq schema` prints it.

    Args:
        kind: of deployment: that of a network, or of a language model.
    """
    tidied = _tidy(kind.model_json_schema())
    return {"$schema": DIALECT, **tidied, "title": "deploy.yaml of snapq"}


def _tidy(value: Any, *, names: bool = False) -> Any:
    """Joins the lines of descriptions and drops titles, which only repeat the keys.

    `names`: the keys of `value` are names of the user's keys, not words of JSON Schema.
    """
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    tidied = {
        key: _tidy(item, names=key in ("properties", "$defs") and not names)
        for key, item in value.items()
        if names or key != "title"
    }
    if not names and isinstance(value.get("description"), str):
        tidied["description"] = " ".join(value["description"].split())
    return tidied


def part(schema: Schema, path: KeyPath) -> Schema:
    """What the schema says about the value at `path`; empty where it says nothing."""
    here = _resolve(schema, schema)
    for step in path:
        options = [_resolve(schema, option) for option in here.get("anyOf", [here])]
        if isinstance(step, int):
            found = [item for o in options if (item := _item(o, step)) is not None]
        else:
            found = [
                o.get("properties", {}).get(step, o.get("additionalProperties") or {})
                for o in options
                if o.get("type") == "object"
            ]
        here = _resolve(schema, found[0]) if found and isinstance(found[0], dict) else {}
    return here


def _item(here: Schema, position: int) -> Schema | None:
    """What the schema of a list says about one of its items."""
    fixed = here.get("prefixItems", [])
    item = fixed[position] if 0 <= position < len(fixed) else here.get("items")
    return item if isinstance(item, dict) else None


def keys(schema: Schema, path: KeyPath) -> tuple[str, ...]:
    """Legal keys of the mapping at `path`."""
    here = part(schema, path)
    options = [_resolve(schema, option) for option in here.get("anyOf", [here])]
    return tuple(key for option in options for key in option.get("properties", {}))


def describe(schema: Schema, here: Schema, *, plural: bool = False) -> str:
    """What a value must be in words, such as `a list of 2 integers above 0`."""
    here = _resolve(schema, here)
    if "anyOf" in here:
        options = [o for o in here["anyOf"] if o.get("type") != "null"]
        return " or ".join(describe(schema, option, plural=plural) for option in options)
    if "enum" in here:
        return "one of " + ", ".join(f"`{_written(value)}`" for value in here["enum"])
    if "const" in here:
        return f"`{_written(here['const'])}`"
    kind = here.get("type")
    if kind == "array":
        return _describe_list(schema, here, plural=plural)
    singular, several = {
        "integer": ("an integer", "integers"),
        "number": ("a number", "numbers"),
        "string": ("text", "texts"),
        "boolean": ("true or false", "true or false"),
        "object": ("a mapping (`key: value`)", "mappings (`key: value`)"),
    }.get(str(kind), ("a value", "values"))
    return (several if plural else singular) + _limits(here)


def _describe_list(schema: Schema, here: Schema, *, plural: bool) -> str:
    fixed = here.get("prefixItems")
    item = fixed[0] if fixed else here.get("items", {})
    inner = describe(schema, item, plural=True)
    count = f"{len(fixed)} " if fixed else "one or more " if here.get("minItems") == 1 else ""
    return f"{'lists' if plural else 'a list'} of {count}{inner}"


def _limits(here: Schema) -> str:
    low, high = here.get("minimum"), here.get("maximum")
    if low is not None and high is not None:
        return f" from {_written(low)} to {_written(high)}"
    if low is not None:
        return f" of {_written(low)} or more"
    if "exclusiveMinimum" not in here:
        return ""
    words = f" above {_written(here['exclusiveMinimum'])}"
    if "exclusiveMaximum" in here:
        words += f" and below {_written(here['exclusiveMaximum'])}"
    return words if high is None else f"{words} and up to {_written(high)}"


def _written(value: Any) -> str:
    """A value as YAML has it: text bare, integral floats without `.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


def _resolve(schema: Schema, here: Schema) -> Schema:
    if "$ref" not in here:
        return here
    name = str(here["$ref"]).removeprefix("#/$defs/")
    target: Schema = schema["$defs"][name]
    return {**target, **{key: value for key, value in here.items() if key != "$ref"}}
