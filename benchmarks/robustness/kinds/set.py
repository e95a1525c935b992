"""`--set KEY=VALUE`: odd values of the right kind, and what does not fit; validate and plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import yaml

from benchmarks.robustness import projects
from benchmarks.robustness.case import Case
from benchmarks.robustness.fitting_values import fitting
from benchmarks.robustness.hostile_values import letters, scalar


def prepare(shared: Path) -> None:
    projects.make(shared)


def draw(random: Random, folder: Path) -> Case:
    """Writes a valid `deploy.yaml`, and draws one to three options."""
    projects.link(folder)
    text = random.choice(projects.TEMPLATES)
    (folder / "deploy.yaml").write_text(text, encoding="utf-8")
    stages = tuple(next(iter(one)) for one in yaml.safe_load(text)["stages"])
    options = [_option(random, stages) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]
    arguments = tuple(word for option in options for word in ("--set", option))
    json = ("--json",) if random.random() < 0.4 else ()
    command = random.choice(("validate", "plan"))
    what = "; ".join(option[:60] for option in options)
    return Case(what, ((command, "deploy.yaml", *arguments, *json),), frozenset({0, 2}))


def _option(random: Random, stages: tuple[str, ...]) -> str:
    return _fitting(random, stages) if random.random() < 0.75 else _misfit(random)


def _fitting(random: Random, stages: tuple[str, ...]) -> str:
    """A key of the file, stages that it has among them, with a value of its kind."""
    from snapq.config.reading.json_schema import json_schema, part

    name, path = random.choice(_paths(stages))
    schema = json_schema()
    return f"{name}={fitting(schema, part(schema, path), random)}".replace("\0", "")


def _misfit(random: Random) -> str:
    key = random.choice(_keys()) if random.random() < 0.8 else scalar(random)
    if random.random() < 0.2:
        at = random.randrange(len(key) + 1)
        key = key[:at] + letters(random) + key[at:]
    value = scalar(random)
    option = random.choice((f"{key}={value}",) * 9 + (key, f"{key}=={value}", f"={value}", value))
    return option.replace("\0", "")  # the system itself refuses it in an argument


_LED_THROUGH = ("stages.0", "stages.99", "stages.-1", "devices.0", "devices.1", "")
_DEEPEST = 4


@cache
def _paths(stages: tuple[str, ...]) -> tuple[tuple[str, tuple[str | int, ...]], ...]:
    """Every key of a file with these stages as an option names it, with its path."""
    from snapq.config.reading.json_schema import json_schema, keys

    schema = json_schema()
    found: list[tuple[str, tuple[str | int, ...]]] = []

    def collect(path: tuple[str | int, ...], shown: str) -> None:
        for key in keys(schema, path):
            name = f"{shown}.{key}" if shown else key
            found.append((name, (*path, key)))
            if len(path) < _DEEPEST:
                collect((*path, key), name)

    collect((), "")
    for number, stage in enumerate(stages):
        path = ("stages", number, stage)
        found.append((f"stages.{stage}", path))
        collect(path, f"stages.{stage}")
        collect(path, f"stages.{number}.{stage}")
        if stage == "quantize":
            found.append(("stages.quantize.overrides.0.nodes", (*path, "overrides", 0, "nodes")))
    found.append(('model.inputs."image"', ("model", "inputs", "image")))
    found.append(("model.inputs.image.0", ("model", "inputs", "image", 0)))
    return tuple(found)


@cache
def _keys() -> tuple[str, ...]:
    from snapq.config.reading.json_schema import json_schema, keys

    stages = keys(json_schema(), ("stages", 0))
    return (*(name for name, _ in _paths(stages)), *_LED_THROUGH)
