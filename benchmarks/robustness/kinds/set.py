"""`--set KEY=VALUE` with keys and values that do not fit, through validate and plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from benchmarks.robustness import projects
from benchmarks.robustness.case import Case
from benchmarks.robustness.hostile_values import letters, scalar


def prepare(shared: Path) -> None:
    projects.make(shared)


def draw(random: Random, folder: Path) -> Case:
    """Writes a valid `deploy.yaml`, and draws one to three options."""
    projects.link(folder)
    text = random.choice(projects.TEMPLATES)
    (folder / "deploy.yaml").write_text(text, encoding="utf-8")
    options = [_option(random) for _ in range(random.choice((1, 1, 2, 3)))]
    arguments = tuple(word for option in options for word in ("--set", option))
    json = ("--json",) if random.random() < 0.4 else ()
    command = random.choice(("validate", "plan"))
    what = "; ".join(option[:60] for option in options)
    return Case(what, ((command, "deploy.yaml", *arguments, *json),), frozenset({0, 2}))


def _option(random: Random) -> str:
    key = random.choice(_keys()) if random.random() < 0.8 else scalar(random)
    if random.random() < 0.2:
        at = random.randrange(len(key) + 1)
        key = key[:at] + letters(random) + key[at:]
    value = scalar(random)
    option = random.choice((f"{key}={value}",) * 9 + (key, f"{key}=={value}", f"={value}", value))
    return option.replace("\0", "")  # the system itself refuses it in an argument


@cache
def _keys() -> tuple[str, ...]:
    """Every key of the schema as an option names it, and some that lead through a list."""
    from snapq.config.reading import json_schema
    from snapq.config.reading.json_schema import keys

    schema = json_schema()
    found: list[str] = []

    def collect(path: tuple[str | int, ...], shown: str, depth: int) -> None:
        for key in keys(schema, path):
            name = f"{shown}.{key}" if shown else key
            found.append(name)
            if depth < 4:
                collect((*path, key), name, depth + 1)

    collect((), "", 0)
    for stage in keys(schema, ("stages", 0)):
        found.append(f"stages.{stage}")
        collect(("stages", 0, stage), f"stages.{stage}", 2)
        collect(("stages", 0, stage), f"stages.0.{stage}", 2)
    more = ("stages.0", "stages.99", "stages.-1", 'model.inputs."image"', "model.inputs.image.0")
    return (*found, *more, "devices.0", "devices.1", "stages.quantize.overrides.0.nodes", "")
