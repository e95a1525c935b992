"""Writes the pages of docs/reference/ that are made from the program itself.

python scripts/reference.py          # writes bundle.md, commands.md, deploy_yaml.md, errors.md
python scripts/reference.py --check  # exit code 1 where one is out of date
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from snapq import bundle, errors
from snapq.bundle import schema as bundle_schema
from snapq.config import LanguageDeployConfig
from snapq.config.reading.json_schema import json_schema

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- Made by scripts/reference.py; `make reference` writes it anew. -->\n\n"


def commands() -> str:
    """Every command with its arguments, options and examples."""
    told = subprocess.run(
        [sys.executable, "-m", "typer", "snapq.cli.app", "utils", "docs", "--name", "snapq"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "TERM": "dumb", "PYTHONPATH": ":".join(sys.path), "COLUMNS": "500"},
    ).stdout
    text = html.unescape(told)
    text = re.sub(r"^\*\*Commands\*\*:\n\n(?:\* .*\n)+\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?:^Examples?: .*\n)+", _examples, text, flags=re.MULTILINE)
    text = text.replace("```console\n$ ", "```sh\n").replace("# `snapq`\n", "# Commands\n", 1)
    head = "Exit codes: [Errors](errors.md#exit-codes). `--json` prints one JSON value on standard "
    return text.replace("\n\n", f"\n\n{head}output.\n\n", 1).rstrip() + "\n"


def _examples(lines: re.Match[str]) -> str:
    shown = re.sub(r"^Examples?: ", "", lines[0], flags=re.MULTILINE)
    return f"```sh\n{shown}```\n"


def deploy_yaml() -> str:
    """Every key of deploy.yaml."""
    schema = json_schema()
    parts = ["# deploy.yaml\n", "Every key; `snapq schema` prints the same for editors.\n"]
    parts += [_SYNTAX]
    parts += _table(schema, "")
    parts += _sections(schema, "")
    pair = json_schema(LanguageDeployConfig)
    parts += ["## Of a language model\n", _PAIR, *_table(pair, _OF_PAIR)]
    parts += _sections(pair, _OF_PAIR)
    return "\n".join(parts)


def _sections(schema: dict[str, Any], front: str) -> Iterator[str]:
    """A section for each part with keys of its own, once; `front` stands before its place."""
    done: set[str] = set()
    for name, where in _nested(schema, schema, ""):
        if name in done:
            continue
        done.add(name)
        part = schema["$defs"][name]
        place = f"{front}.{where}" if front else where
        yield f"{'###' if front else '##'} {place}\n"
        yield f"{part.get('description', '')}\n"
        yield from _table(part, place)


_OF_PAIR = "pair"
_PAIR = """A file whose `model` names a pair of graphs has these keys, which
`snapq schema --language-model` prints. See [Language models](../how-to/language_models.md).
"""


_SYNTAX = """An unknown key, a wrong type or a wrong combination of stages is an error with file,
line, key and what to write instead. Relative paths start at the file's folder; `~`, `${NAME}` and
`${NAME:-default}` are expanded. What a variable called like a secret (SECRET, TOKEN, PASSWORD, KEY)
gives is not written into the run's files. `--set stages.quantize.activations=uint16` overrides one
value.
"""


def _nested(schema: dict[str, Any], part: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """The parts with keys of their own below `part`, each with the place where it is written."""
    for key, value in part.get("properties", {}).items():
        here = f"{where}.{key}" if where else key
        for name in re.findall(r"'#/\$defs/(\w+)'", str(value)):
            inner = schema["$defs"][name]
            if "properties" in inner:
                if name != "StageItem":
                    yield name, here
                yield from _nested(schema, inner, here)


def _table(part: dict[str, Any], where: str) -> Iterator[str]:
    if not part["properties"]:
        yield "It has no options.\n"
        return
    required = part.get("required", [])
    yield "| key | value | where not given | meaning |\n|---|---|---|---|"
    for key, value in part["properties"].items():
        default = value.get("default")
        shown = "needed" if key in required else "" if _is_empty(default) else f"`{_yaml(default)}`"
        meaning = (
            value.get("description", "") or f"see [{_place(where, key)}](#{_anchor(where, key)})"
        )
        yield f"| `{key}` | {_kind(value)} | {shown} | {_cell(meaning)} |"
    yield ""


def _place(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _anchor(where: str, key: str) -> str:
    return _place(where, key).replace(".", "").lower()


def _kind(value: dict[str, Any]) -> str:
    """The kind of a value in a few words."""
    if "anyOf" in value:
        kinds = [_kind(option) for option in value["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in value:
        return f"`{_yaml(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{_yaml(one)}`" for one in value["enum"])
    if "$ref" in value:
        known = json_schema()["$defs"] | json_schema(LanguageDeployConfig)["$defs"]
        inner = known[value["$ref"].rsplit("/", 1)[1]]
        return "keys" if "properties" in inner else _kind(inner)
    kind = value.get("type", "any")
    if kind == "array":
        items = value.get("items", {})
        return f"list of {_kind(items)}" if items else "list"
    words = {"object": "mapping", "integer": "whole number", "boolean": "`true`, `false`"}
    if value.get("format") == "path":
        return "path"
    return f"{words.get(kind, 'text' if kind == 'string' else kind)}{_limits(value)}"


def _limits(value: dict[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    said = [f"{word} {value[key]:g}" for key, word in words.items() if key in value]
    return f", {', '.join(said)}" if said else ""


def _is_empty(default: object) -> bool:
    return (
        default is None
        or default in ({}, [], "")
        or (isinstance(default, dict) and all(_is_empty(value) for value in default.values()))
    )


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{key}: {_yaml(one)}" for key, one in value.items() if not _is_empty(one))
        return f"{{{', '.join(pairs)}}}"
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def told_errors() -> str:
    """Every kind of error, with its exit code."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.SnapqError) and kind is not errors.SnapqError
    ]
    rows = "\n".join(
        f"| `{kind.__name__}` | {kind.exit_code} | {_cell((kind.__doc__ or '').splitlines()[0])} |"
        for kind in kinds
    )
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return ERRORS.format(rows=rows, codes=codes)


EXIT_CODES = {
    0: "done",
    1: "done, but a gate failed, a comparison is out of its limits, or a check of `doctor` failed",
    2: "an error of the table above",
    70: "an internal error: please report it, with the file that the message names",
    130: "interrupted; nothing is left half-written",
}
ERRORS = """# Errors

Whatever a user can cause or cure is a `SnapqError` of `snapq.errors`, with the attributes `what`,
`where`, `hint` and `also`. The command line prints it as one block on standard error, or as JSON on
standard output with `--json`.

| error | exit code | when |
|---|---|---|
{rows}

## Exit codes

| code | meaning |
|---|---|
{codes}
"""


def bundle_format() -> str:
    """The files of a bundle, and every field of its manifest."""
    files = re.search(r"```\n(.*?)```", inspect.getdoc(bundle) or "", re.DOTALL)
    assert files is not None
    kinds = {
        one.__name__: one
        for one in (*vars(bundle_schema).values(), *_nested_models(bundle_schema.Manifest))
        if inspect.isclass(one) and issubclass(one, BaseModel)
    }
    schema = bundle_schema.Manifest.model_json_schema(mode="serialization")
    parts = [BUNDLE.format(files=files[1])]
    shown = {"Manifest": schema, **schema["$defs"]}
    order = ["Manifest", *_in_order(schema, schema)]
    for name in dict.fromkeys(order):
        title = "manifest.json" if name == "Manifest" else _heading(name)
        told = _told(kinds[name])
        parts += [f"## {title}\n", f"{(inspect.getdoc(kinds[name]) or '').splitlines()[0]}\n"]
        parts += ["| field | value | meaning |", "|---|---|---|"]
        parts += [
            f"| `{key}` | {_entry_kind(value)} | {_cell(told[key])} |"
            for key, value in shown[name]["properties"].items()
        ]
        parts.append("")
    return "\n".join(parts)


def _nested_models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models that a model is made of."""
    for field in kind.model_fields.values():
        for name in re.findall(r"[\w.]+\.(Bundle\w+)", repr(field.annotation)):
            found = getattr(bundle_schema, name, None)
            for module in (bundle_schema, bundle.host_schema, bundle.package_schema):
                found = found or getattr(module, name, None)
            if found is not None:
                yield found
                yield from _nested_models(found)


def _in_order(schema: dict[str, Any], part: dict[str, Any]) -> Iterator[str]:
    for value in part.get("properties", {}).values():
        for name in re.findall(r"'#/\$defs/(\w+)'", str(value)):
            yield name
            yield from _in_order(schema, schema["$defs"][name])


def _heading(name: str) -> str:
    """`BundleTailInput` as `tail input`."""
    words = re.sub(r"(?<!^)([A-Z])", r" \1", name.removeprefix("Bundle")).lower()
    return {"quantized as": "encoding", "model tensor": "tensor of the model"}.get(words, words)


def _told(kind: type[BaseModel]) -> dict[str, str]:
    """What stands behind each field of a model and of those that it is derived from."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not issubclass(one, BaseModel) or one is BaseModel:
            continue
        (made,) = ast.parse(inspect.getsource(one)).body
        assert isinstance(made, ast.ClassDef)
        for field, text in zip(made.body, made.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                told = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                assert told, f"{one.__name__}.{field.target.id} has no docstring"
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def _entry_kind(value: dict[str, Any]) -> str:
    """The kind of a field in a few words."""
    if "anyOf" in value:
        return " or ".join(_entry_kind(option) for option in value["anyOf"])
    if "$ref" in value:
        name = _heading(value["$ref"].rsplit("/", 1)[1])
        return f"[{name}](#{name.replace(' ', '-')})"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if value.get("type") == "array":
        items = value.get("items") or {}
        if "prefixItems" in value:
            return "two whole numbers"
        return f"list of {_entry_kind(items)}"
    words = {"object": "mapping", "integer": "whole number", "boolean": "true or false"}
    kind = str(value.get("type", "any"))
    return words.get(kind, "text" if kind == "string" else kind)


BUNDLE = """# The bundle

The folder that the `package` stage writes, and all that an application needs
([how it is used](../how-to/application.md)). It can be moved and renamed; paths inside of it are
relative. The same model, options and versions give the same bytes.

```
{files}```

Of these, a bundle has what its model needs. Files in `devices/DEVICE/` belong together.

## Versions

`schema_version` says which form a bundle has. Who reads one must refuse a version that it does not
know, as it would leave out a part of the model in silence.

| version | what it has beyond version 1 |
|---|---|
| `snapq.bundle/1` | |
| `snapq.bundle/2` | `tail`: what the CPU computes behind a model that was cut |
| `snapq.bundle/3` | `host`: what the CPU computes around trees, SVMs and linear models |
| `snapq.bundle/4` | `packages`: bundles of devices with a model of their own; a `tail` or none |

snapq and the `snapq_io.py` of a bundle read all of them. A field that is not listed here is
refused, and a file that is not listed in `files` is never used. Before anything runs,
`snapq benchmark` compares every file with its hash, and `verify.py` those that it uses.
"""


def main() -> int:
    """The command line."""
    pages = {
        "bundle.md": bundle_format(),
        "commands.md": commands(),
        "deploy_yaml.md": deploy_yaml(),
        "errors.md": told_errors(),
    }
    stale = []
    for name, text in pages.items():
        page = FOLDER / name
        whole = MADE + text
        if not page.is_file() or page.read_text(encoding="utf-8") != whole:
            stale.append(name)
            if "--check" not in sys.argv[1:]:
                page.write_text(whole, encoding="utf-8")
    print(f"out of date: {', '.join(stale)}" if stale else "up to date")
    return int(bool(stale) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
