"""Writes the pages of docs/reference/ that are made from the program itself.

python scripts/reference.py          # writes commands.md, deploy_yaml.md and errors.md
python scripts/reference.py --check  # exit code 1 where one is out of date
"""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snapq import errors
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
    done: set[str] = set()
    for name, where in _nested(schema, schema, ""):
        if name in done:
            continue
        done.add(name)
        part = schema["$defs"][name]
        parts += [f"## {where}\n", f"{part.get('description', '')}\n", *_table(part, where)]
    return "\n".join(parts)


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
        inner = json_schema()["$defs"][value["$ref"].rsplit("/", 1)[1]]
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


def main() -> int:
    """The command line."""
    pages = {"commands.md": commands(), "deploy_yaml.md": deploy_yaml(), "errors.md": told_errors()}
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
