"""The record of a hunt: one JSON a line, read again to go on, and its summary."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.hunt.attempt import Outcome, Result
from benchmarks.hunt.recipe import Recipe

Record = dict[str, Any]
UNWANTED = (Result.DISAGREES, Result.ALTERED, Result.INTERNAL)
"""What makes a hunt end with exit code 1."""


def record(key: str, scheme: str, device: str, recipe: Recipe, outcome: Outcome) -> Record:
    """One graph; the recipe is written where the graph is of interest."""
    found: Record = {
        "graph": key,
        "scheme": scheme,
        "device": device,
        "chain": recipe.chain,
        "result": str(outcome.result),
    }
    if outcome.result is Result.RIGHT:
        return found
    found["outputs"] = [one.to_json() for one in outcome.verdicts]
    found["note"] = outcome.note
    found["recipe"] = recipe.to_json()
    return found


def read(path: Path) -> list[Record]:
    """What was written so far; a last line that was cut off does not count."""
    found: list[Record] = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def summary(records: Sequence[Record]) -> Iterator[str]:
    """Results by scheme, then what is of interest by kind, the most frequent first."""
    results = [str(one) for one in Result]
    yield f"{'scheme':8}" + "".join(f"{name:>10}" for name in results) + f"{'graphs':>10}"
    by_scheme: dict[str, Counter[str]] = defaultdict(Counter)
    for one in records:
        by_scheme[one["scheme"]][one["result"]] += 1
        by_scheme["all"][one["result"]] += 1
    for scheme in sorted(by_scheme, key=lambda name: (name == "all", name)):
        counts = by_scheme[scheme]
        cells = "".join(f"{counts[name] or '':>10}" for name in results)
        yield f"{scheme:8}{cells}{sum(counts.values()):>10}"
    for result in results[1:]:
        yield from _kinds(result, [one for one in records if one["result"] == result])


def _kinds(result: str, records: Sequence[Record]) -> Iterator[str]:
    if not records:
        return
    yield f"\n{result}: {len(records)}"
    grouped: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        grouped[_kind(one)].append(one)
    for kind, found in sorted(grouped.items(), key=lambda item: -len(item[1]))[:60]:
        schemes = ", ".join(sorted({one["scheme"] for one in found}))
        devices = ", ".join(sorted({one["device"] for one in found}))
        yield f"{len(found):6}  {kind}  [{schemes}; {devices}]  {found[0]['graph']}"


def _kind(one: Record) -> str:
    """The chain of the smallest form, else the whole one; for what failed, how it failed."""
    if one["result"] in (Result.REFUSED, Result.INTERNAL, Result.CRASH, Result.HANG):
        lines = one["note"].strip().splitlines() or [""]
        line = lines[-1] if one["result"] == Result.INTERNAL else lines[0]
        return re.sub(r"\bg\d+_\w+|\d+", "…", line)[:160]
    return str(one.get("kind", one["chain"]))
