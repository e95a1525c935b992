"""deploy.yaml files with mistakes of hands, editors and ill will, through validate and plan."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.robustness import projects
from benchmarks.robustness.case import Case
from benchmarks.robustness.hostile_values import letters, scalar

_VALUE = re.compile(r"(?<=[:\[,] )[^\s,\[\]{}][^,\n\[\]{}]*")
_KEY = re.compile(r"[A-Za-z_]\w*(?=:)")
_KEYS = (
    *("name", "model", "path", "inputs", "devices", "targets", "data", "calibration", "evaluation"),
    *("images", "arrays", "python", "random", "samples", "labels", "preprocess", "state", "steps"),
    *("metric", "stages", "quantize", "prune", "package", "finetune", "cluster", "repair", "gates"),
    *("benchmark", "io", "overrides", "nodes", "keep", "keep_wide", "mend", "<<", "", "0", "~"),
)


def prepare(shared: Path) -> None:
    projects.make(shared)


def draw(random: Random, folder: Path) -> Case:
    """Writes `deploy.yaml`, a valid one broken in one to four ways."""
    projects.link(folder)
    data: str | bytes = random.choice(projects.TEMPLATES)
    names = []
    for _ in range(random.choice((1, 1, 2, 2, 3, 4))):
        if isinstance(data, bytes) or not _KEY.search(data) or len(_VALUE.findall(data)) < 2:
            break  # nothing is left to break
        change = random.choice(_CHANGES)
        data = change(data, random)
        names.append(change.__name__.strip("_"))
    written = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    (folder / "deploy.yaml").write_bytes(written)
    json = ("--json",) if random.random() < 0.4 else ()
    plan = ("plan", "deploy.yaml", *json)
    commands = random.choice(((("validate", "deploy.yaml", *json),), (plan,), (plan,)))
    return Case(" and ".join(names), commands, frozenset({0, 2}))


def _other_value(text: str, random: Random) -> str:
    return _replaced(text, _VALUE, scalar(random), random)


def _other_key(text: str, random: Random) -> str:
    return _replaced(text, _KEY, random.choice(_KEYS), random)


def _swapped_values(text: str, random: Random) -> str:
    found = list(_VALUE.finditer(text))
    one, other = sorted(random.sample(found, 2), key=lambda match: match.start())
    middle = text[one.end() : other.start()]
    return text[: one.start()] + other[0] + middle + one[0] + text[other.end() :]


def _misspelt(text: str, random: Random) -> str:
    place = random.choice(list(_KEY.finditer(text)))
    word, at = place[0], random.randrange(len(place[0]))
    kinds = (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word.upper())
    return text[: place.start()] + random.choice(kinds) + text[place.end() :]


def _letters_in_between(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + letters(random) * random.choice((1, 1, 1, 3, 1000)) + text[at:]


def _letters_less(text: str, random: Random) -> str:
    at = random.randrange(len(text))
    return text[:at] + text[at + random.choice((1, 1, 2, 10, 100)) :]


def _cut_off(text: str, random: Random) -> str:
    return text[: random.randrange(len(text))]


def _line_twice(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines))
    lines.insert(random.choice((at, random.randrange(len(lines)))), lines[at])
    return "".join(lines)


def _line_less(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    return "".join(lines)


def _indented(text: str, random: Random) -> str:
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines))
    lines[at] = random.choice(
        ("  " + lines[at], "\t" + lines[at], lines[at][1:], lines[at].lstrip())
    )
    return "".join(lines)


def _of_one_kind_many(text: str, random: Random) -> str:
    line = random.choice(("k{}: 1\n", "devices{}: [a]\n", "x{}: {{a: b}}\n", "- {}\n", "? k{}\n"))
    count = random.choice((10, 300, 8000))
    return text + "".join(line.format(number) for number in range(count))


def _deep(text: str, random: Random) -> str:
    depth = random.choice((8, 60, 1000, 20_000))
    opened, closed = random.choice((("[", "]"), ("{a: ", "}"), ("- ", "")))
    return f"{text}x: {opened * depth}1{closed * depth}\n"


def _aliases(text: str, random: Random) -> str:
    width, depth = random.choice(((2, 3), (9, 9), (30, 5)))
    rows = ["x0: &x0 [1, 2]\n"]
    rows += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * width)}]\n" for n in range(1, depth)]
    return "".join(rows) + text


def _merged(text: str, random: Random) -> str:
    merged = random.choice(("<<: *pre", "<<: [*pre, *pre]", "<<: 1", "<<: &l {<<: *l}", "<<: [[]]"))
    return f"x: &pre {{mean: 1}}\n{text}y: {{{merged}, a: 1}}\n{merged}\n"


def _documents(text: str, random: Random) -> str:
    return random.choice(
        (f"---\n{text}", f"{text}---\n{text}", f"%YAML 9.9\n---\n{text}", f"{text}...")
    )


def _no_utf8(text: str, random: Random) -> bytes:
    kind = random.choice(("utf-16", "utf-32", "latin-1", "bytes", "bom"))
    if kind == "bytes":
        data = bytearray(text.encode())
        for _ in range(random.choice((1, 5, 50))):
            data[random.randrange(len(data))] = random.randrange(256)
        return bytes(data)
    if kind == "bom":
        return b"\xef\xbb\xbf" * random.choice((1, 2)) + text.encode()
    return text.replace("name", "näme").encode(kind, "replace")


def _no_mapping(text: str, random: Random) -> str:
    return random.choice(
        ("", "\n\n", "# nothing\n", "[]\n", "7\n", f"- {text!r}\n", "\0", " " * 2_000_000)
    )


def _replaced(text: str, pattern: re.Pattern[str], value: str, random: Random) -> str:
    places = list(pattern.finditer(text))
    if not places:
        return text
    place = random.choice(places)
    return text[: place.start()] + value + text[place.end() :]


Change = Callable[[str, Random], "str | bytes"]
_CHANGES: tuple[Change, ...] = (
    *(_other_value,) * 10,
    *(_other_key,) * 4,
    *(_misspelt, _letters_in_between, _letters_less, _indented) * 2,
    *(_cut_off, _line_twice, _line_less, _swapped_values, _no_utf8, _merged, _documents),
    *(_of_one_kind_many, _deep, _aliases, _no_mapping),
)
