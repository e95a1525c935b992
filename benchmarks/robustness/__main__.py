"""Breaks things on purpose and counts what snapq makes of it.

    python -m benchmarks.robustness KIND --count N --seed S [--jobs N] [--out FILE]
    python -m benchmarks.robustness all             # every kind, as often as the project asks for
    python -m benchmarks.robustness KIND --seed S --only 17 --keep FOLDER   # one case, with files

A case is drawn from its kind, seed and number alone, so any of them can be drawn again. FILE gets a
JSON line a case; the summary has exit codes, faults, the slowest and the largest. It ends with code
1 where anything was wrong: exit 70, a signal, a traceback, 60 s of CPU, control codes, no JSON
where `--json` asks for it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.robustness.case import faults
from benchmarks.robustness.execute import execute, import_everything

COUNTS = {
    "models": 1500,
    "verbs": 300,
    "yaml": 3000,
    "set": 1000,
    "bundles": 2000,
    "data": 500,
    "cache": 100,
    "kills": 50,
    "environments": 200,
    "boards": 200,
}
"""How many cases of each kind the whole has."""
_SHOWN = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=[*COUNTS, "all"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON lines, one a case")
    parser.add_argument("--only", type=int, help="draw this case alone")
    parser.add_argument("--keep", type=Path, help="keep the files of cases with faults here")
    given = parser.parse_args()
    kinds = [name for name in COUNTS if _exists(name)] if given.kind == "all" else [given.kind]
    bad = 0
    for kind in kinds:
        count = given.count or COUNTS[kind]
        chosen = range(count) if given.only is None else [given.only]
        bad += _campaign(kind, given, chosen)
    return 1 if bad else 0


def _exists(kind: str) -> bool:
    return (Path(__file__).parent / "kinds" / f"{kind}.py").is_file()


def _campaign(kind: str, given: argparse.Namespace, chosen: Sequence[int]) -> int:
    """Runs cases of one kind; returns how many had a fault."""
    import_everything()
    module = importlib.import_module(f"benchmarks.robustness.kinds.{kind}")
    base = Path(tempfile.mkdtemp(prefix="robustness-"))  # a finalizer would run in forks as well
    records = []
    try:
        shared = base / "shared"
        shared.mkdir()
        os.environ["SNAPQ_HISTORY"] = str(shared / "history.sqlite")
        if hasattr(module, "prepare"):
            module.prepare(shared)
        for record in _records(module, kind, given, chosen, base):
            records.append(record)
            _tell(record, given.out)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    _summarize(kind, records)
    return sum(bool(record["faults"]) for record in records)


def _tell(record: dict[str, Any], out: Path | None) -> None:
    if out:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    if record["faults"]:
        title = f"{record['kind']} {record['index']}: {record['what']}"
        print(title.encode("ascii", "backslashreplace").decode(), *record["faults"], sep="\n  ")


def _records(
    module: Any, kind: str, given: argparse.Namespace, chosen: Sequence[int], base: Path
) -> Iterator[dict[str, Any]]:
    """One record a case; several at once where jobs are given, each in a fork of this process."""
    share = [chosen[start :: given.jobs] for start in range(given.jobs)]
    if given.jobs == 1:
        for index in chosen:
            yield _one(module, kind, given, index, base)
        return
    with ThreadPoolExecutor(given.jobs) as threads:
        readers = [_fork_share(module, kind, given, one, base) for one in share]
        for records in threads.map(lambda file: [json.loads(line) for line in file], readers):
            yield from records


def _fork_share(
    module: Any, kind: str, given: argparse.Namespace, chosen: Sequence[int], base: Path
) -> Any:
    """A fork that runs some of the cases; returns the pipe on which it writes their records."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        with os.fdopen(write, "w") as file:
            for index in chosen:
                file.write(json.dumps(_one(module, kind, given, index, base)) + "\n")
                file.flush()
        os._exit(0)
    os.close(write)
    return os.fdopen(read)


def _one(
    module: Any, kind: str, given: argparse.Namespace, index: int, base: Path
) -> dict[str, Any]:
    home = base / f"{index:05d}"
    folder = home / "case"
    folder.mkdir(parents=True)
    (home / "shared").symlink_to(base / "shared")
    case = module.draw(random.Random(f"{kind}-{given.seed}-{index}"), folder)
    outcomes = execute(case, folder)
    found = faults(case, outcomes, folder)
    if given.keep and (found or given.only is not None):
        shutil.copytree(folder, given.keep / f"{kind}-{given.seed}-{index}", symlinks=True)
    shutil.rmtree(home, ignore_errors=True)
    return {
        "kind": kind,
        "seed": given.seed,
        "index": index,
        "what": case.what,
        "faults": found,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }


def _summarize(kind: str, records: Sequence[dict[str, Any]]) -> None:
    outcomes = [(record, one) for record in records for one in record["outcomes"]]
    codes = Counter(one["exit_code"] for _, one in outcomes)
    print(f"\n{kind}: {len(records)} cases, {len(outcomes)} commands")
    print("exit codes:", ", ".join(f"{code}: {n}" for code, n in sorted(codes.items())))
    told = Counter(fault for record in records for fault in record["faults"])
    print("faults:", sum(bool(record["faults"]) for record in records), "cases")
    for fault, count in told.most_common(_SHOWN):
        print(f"  {count} x {fault}")
    for title, key, unit in (("slowest", "cpu_s", "s of CPU"), ("largest", "peak_mb", "MiB")):
        worst = sorted(outcomes, key=lambda pair: pair[1][key], reverse=True)[:3]
        for record, one in worst:
            print(
                f"{title}: {one[key]:.0f} {unit}, case {record['index']}: {record['what']}: "
                f"{' '.join(one['arguments'][:1])} ended with {one['exit_code']}"
            )


if __name__ == "__main__":
    sys.exit(main())
