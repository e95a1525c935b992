"""Fits Qualcomm's public latencies to estimates of the same networks, and writes snapq's table.

    python -m benchmarks.prediction [--figures FILE] [--results FILE] [--table FILE] [--plot FILE]

Estimates are those of benchmarks/zoo/results.jsonl; the latencies are a CSV of the public figures
of the package qai-hub-models (BSD-3-Clause). For each board, precision and runtime it prints what a
fit is worth for networks that are left out of it, and the networks that it misses by most; then
what predictions must be worth, beside what they are.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction.draw import picture
from benchmarks.prediction.figures import (
    FIGURES,
    PRECISIONS,
    ROOT,
    SOURCE,
    boards,
    measured,
    rows_of_boards,
)
from benchmarks.prediction.goals import goals
from benchmarks.prediction.table import Entry, entries
from benchmarks.zoo.__main__ import RESULTS, read
from benchmarks.zoo.networks import networks

TABLE = ROOT / "snapq" / "prediction" / "table.json"
PLOT = ROOT / "docs" / "explanation" / "images" / "predicted.svg"
SCHEMA = "snapq.prediction/1"
DRAWN = "Dragonwing IQ-9075 EVK"


def line(entry: Entry) -> str:
    """What a fit is worth, in a line."""
    errors, found = entry.found.errors, entry.found.line
    worst = np.argsort(errors)[::-1][:3]
    missed = ", ".join(f"{entry.cases[i].network} {entry.found.ratios[i]:.2f}" for i in worst)
    terms = "".join(f" + {value:.3g} {name}" for name, value in found.terms.items())
    return (
        f"{entry.board.name:38} {entry.precision:5} {entry.runtime:4} {entry.kind:11} "
        f"{entry.soc:8} n {len(errors):2} median {np.median(errors):6.1%} "
        f"largest {errors.max():7.1%} holds {entry.found.coverage:4.0%} "
        f"[{entry.found.low:.2f}, {entry.found.high:.2f}] "
        f"{found.factor:.3f} x + {found.offset_us:.0f}{terms}; {missed}"
    )


def overview(found: list[Entry]) -> str:
    """A table in Markdown: what the fits that snapq predicts from are worth on each board."""
    lines = ["| board | float | w8a8 | w8a16 |", "|---|---|---|---|"]
    for board in dict.fromkeys(entry.board for entry in found):
        cells = []
        for precision in PRECISIONS:
            fits = {
                entry.runtime: entry
                for entry in found
                if (entry.board, entry.precision, entry.kind) == (board, precision, "any")
            }
            best = fits.get("onnx") or fits.get("best")
            cells.append(_cell(best) if best else "")
        runtime = "" if "onnx" in {e.runtime for e in found if e.board == board} else ", best"
        name = board.name + (f" ({', '.join(board.profiles)}{runtime})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(entry: Entry) -> str:
    errors = entry.found.errors
    return (
        f"{np.median(errors):.0%}, {entry.found.low:.2f} to {entry.found.high:.2f} ({len(errors)})"
    ).replace("%", " %")


def table(found: list[Entry]) -> dict[str, Any]:
    """The table as snapq ships it."""
    return {
        "schema_version": SCHEMA,
        "made_with": {
            "date": date.today().isoformat(),
            "figures": SOURCE,
            "onnxruntime": version("onnxruntime"),
            "onnxruntime-qnn": version("onnxruntime-qnn"),
        },
        "fits": [entry.to_json(one) for entry in found for one in entry.board.profiles],
    }


def main() -> None:
    """Prints what the fits are worth and writes the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--figures", type=Path, default=FIGURES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--plot", type=Path, default=PLOT)
    arguments = parser.parse_args()
    if not arguments.figures.is_file():
        parser.error(f"there is no {arguments.figures}; make it of {SOURCE}")
    found = list(
        entries(read(arguments.results), networks(), measured(arguments.figures), boards())
    )
    for entry in found:
        print(line(entry))
    print(overview(found))
    print(*goals(found, rows_of_boards(arguments.figures)), sep="\n")
    fits = table(found)
    head, rows = json.dumps({**fits, "fits": []}, indent=1), fits["fits"]
    body = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    arguments.table.write_text(head.replace('"fits": []', f'"fits": [\n{body}\n ]') + "\n")
    drawn = [entry for entry in found if entry.board.name == DRAWN and entry.kind == "any"]
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    arguments.plot.write_text(picture([entry for entry in drawn if entry.runtime == "onnx"]))


if __name__ == "__main__":
    main()
