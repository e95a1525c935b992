"""Values that the schema of deploy.yaml allows, odd ones among them, as YAML text of one line."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from benchmarks.robustness.hostile_values import scalar
from snapq.config.reading.json_schema import Schema

_NAMES = (
    *("image", "scores", "head", "stem", "body", "/image", "qcs9075", "qcs6490", "sm8650", "v73"),
    *("tiny.onnx", "pictures", "labels.csv", "deploy.yaml", ".", "pictures/0.png", "*", "[!a]*"),
    *("top1", "miou", "local", "uint8", "float", "cosine", "json:dumps", "ssh://localhost", "qemu"),
    *("é", "名前", "a b", "-o", "$HOME", "$$", "0", "null", "true", "1e3", "a" * 200, "x.y", "x=y"),
)
_INTEGERS = (0, 1, 2, 3, 7, 31, 32, 33, 224, 255, 256, 1000, 65_536, 2**31 - 1, 2**31, 2**62)
_NUMBERS = (0.0, 1e-300, 1e-9, 0.001, 0.25, 0.5, 0.999999, 1.0, 1.5, 99.9, 100.0, 1e6, 1e300)
_DEEPEST = 4


def fitting(schema: Schema, here: Schema, random: Random, depth: int = 0) -> str:
    """A value for this part of the schema; now and then one that does not fit."""
    here = _resolved(schema, here)
    if random.random() < 0.04 or depth > _DEEPEST:
        return scalar(random)
    if "anyOf" in here:
        return fitting(schema, random.choice(here["anyOf"]), random, depth)
    if "enum" in here:
        return json.dumps(random.choice(here["enum"]))
    if "const" in here:
        return json.dumps(here["const"])
    kind = here.get("type")
    if kind == "array":
        return _list(schema, here, random, depth)
    if kind == "object":
        return _mapping(schema, here, random, depth)
    if kind == "boolean":
        return random.choice(("true", "false"))
    if kind == "null":
        return "null"
    if kind in ("integer", "number"):
        return _number(here, random)
    return json.dumps(random.choice(_NAMES), ensure_ascii=False)


def _resolved(schema: Schema, here: Schema) -> Schema:
    name = str(here.get("$ref", "")).removeprefix("#/$defs/")
    return {**schema["$defs"][name], **here} if name else here


def _list(schema: Schema, here: Schema, random: Random, depth: int) -> str:
    fixed = here.get("prefixItems")
    items = fixed or [here.get("items", {})] * random.choice((1, 1, 1, 2, 3, 4, 30))
    return f"[{', '.join(fitting(schema, item, random, depth + 1) for item in items)}]"


def _mapping(schema: Schema, here: Schema, random: Random, depth: int) -> str:
    known: dict[str, Any] = here.get("properties", {})
    names = set(here.get("required", ())) | set(
        random.sample(sorted(known), random.randint(0, min(3, len(known))))
    )
    rows = [
        f"{json.dumps(name)}: {fitting(schema, known.get(name, {}), random, depth + 1)}"
        for name in sorted(names)
    ]
    more = here.get("additionalProperties")
    if isinstance(more, dict):
        rows.append(f"{random.choice(('image', 'scores'))}: {fitting(schema, more, random, depth)}")
    return f"{{{', '.join(rows)}}}"


def _number(here: Schema, random: Random) -> str:
    """A number at or near an edge of what is allowed, or between."""
    whole = here.get("type") == "integer"
    least = here.get("minimum", here.get("exclusiveMinimum"))
    most = here.get("maximum", here.get("exclusiveMaximum"))
    step = 1 if whole else 1e-9
    edges = [edge + move for edge in (least, most) if edge is not None for move in (-step, 0, step)]
    inside = [
        value
        for value in (_INTEGERS if whole else _NUMBERS)
        if (least is None or value > least) and (most is None or value < most)
    ]
    return json.dumps(random.choice((*edges, *inside, *inside) or (1,)))
